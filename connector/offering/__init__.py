"""What this participant offers: datasets described from their files, each with its offers."""
