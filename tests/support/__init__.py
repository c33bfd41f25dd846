"""What several test folders share: real servers, routine folders, the command line."""
