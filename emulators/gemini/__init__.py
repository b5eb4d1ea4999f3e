"""The Gemini stand-in: one call, one picture in its reply, and Google's way of saying no."""
