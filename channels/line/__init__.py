"""LINE by the Messaging API: events come by signed calls to /channels/line, answers go out as replies and pushes."""
