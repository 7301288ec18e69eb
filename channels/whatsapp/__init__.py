"""WhatsApp by Meta's Cloud API: messages come by signed calls to /channels/whatsapp, and go out over HTTPS."""
