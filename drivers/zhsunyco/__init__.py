"""ZhSunyco easyTag labels over Bluetooth (esl.md 4.1): `easytag` is the bytes, `session` does the talking."""
