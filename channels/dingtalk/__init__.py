"""DingTalk by an app's robot: messages come by signed calls to /channels/dingtalk, answers go out by the session's address or the robot's API."""
