"""What tests share: builders, fakes, and waiting without sleeping."""
