"""The Flower coordinator and its nodes, and the stores for budget and rounds."""
