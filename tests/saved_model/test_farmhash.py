"""FarmHash's fingerprint, against TensorFlow's own; and what TensorFlow calculates it from."""

import json

from cpr.saved_model.extras import read_fingerprint
from cpr.saved_model.farmhash import fingerprint64


def test_it_is_tensorflow_s(faulty):
    """Every way to take a text apart: by its length, up to 64 bytes, and in blocks."""
    folder, _ = faulty
    says = json.loads((folder / "hashes.json").read_text())
    assert {len(text) // 2 for text in says} >= {*range(200), 4096}
    for text, said in says.items():
        assert fingerprint64(bytes.fromhex(text)) % (1 << 62) == said, f"{len(text) // 2} bytes"


def test_a_model_s_fingerprint_has_that_of_its_index(faulty):
    folder, _ = faulty
    for name in ("sound_keras", "module_custom"):
        index = (folder / name / "variables" / "variables.index").read_bytes()
        assert read_fingerprint(folder / name / "fingerprint.pb").checkpoint_hash == fingerprint64(index)
