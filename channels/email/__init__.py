"""E-mail: mails in by IMAP, answers out by SMTP, with any mailbox that a person or an organisation has."""
