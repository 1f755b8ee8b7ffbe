"""Gicisky / PICKSMART labels over Bluetooth: esl.md section 3. The store connects to each; they never call.

`codec` is bytes ⇄ records and the stream that a label inflates, `picture_codec` turns pictures into that stream and
knows the label types: both pure. `session` holds `GiciskyDialect`, the only thing that a Bluetooth station needs.
"""
