"""Labels that are pushed to over Bluetooth, whoever made them: one adapter, one connection at a time.

`dialect` is what makers differ in, `makers` the list of them; `station` serves one adapter and the labels that it
hears, in the order of `queue`, and doubts those that fall silent while they draw (`drawing`). The makers' own folders
(`drivers/gicisky`, `drivers/zhsunyco`) each hold a dialect. bleak is used through its ordinary API, so that a test or
the demo can give another backend.
"""
