"""SMS by Twilio: text messages of any phone, with files in."""
