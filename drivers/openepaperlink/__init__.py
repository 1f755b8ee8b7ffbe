"""OpenEPaperLink access-point radio (ESP32-C6/H2, CC2531) over a serial line: esl.md section 1.

`codec` is bytes ⇄ records, `frame_reader` finds records in a noisy byte stream, `picture_codec` turns pictures
into what labels understand, `proof` decides what a label's "done" proves: all pure. `conversation` talks on one
open line, one command at a time; `session` holds `OpenEPaperLinkStation`, the only thing a store needs from here.
"""
