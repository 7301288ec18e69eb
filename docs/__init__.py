"""The pages, what is written from the code (`made`), their links (`links`), and the site that is built of them (`site`)."""
