"""An organisation's decryptor as a server: it gives seats, checks one set a round, and opens one sum.

- `floors`, `sites`: which shops it serves, and the least that it asks of their rounds.
- `state`: what is durable: that a seat was given, a set checked, a sum opened. No secret is in it.
- `service`: decides every request; box keys and shares are in its memory alone.
- `app`, `bodies`, `page`, `serve`: HTTP, the page for whoever runs it, the process.
"""
