"""`inrzoo list --hub`."""

import json
from pathlib import Path

import pytest
from client import Client
from server import Hub

from inrzoo.store import open_store


@pytest.mark.slow
def test_the_datasets_on_the_hub(hub: Hub, client: Client, finished: Path, larger: Path, sharded: Path) -> None:
    assert "no inrzoo dataset" in client.inrzoo("list", "--hub").err
    assert client.inrzoo("push", finished, "ada/tiny").code == 0
    assert client.inrzoo("push", larger, "ada/tiny").code == 0
    assert client.inrzoo("push", sharded, "bob/shards", "--private", token="hf_bob").code == 0
    plain = "from huggingface_hub import HfApi\nHfApi().create_repo('ada/plain', repo_type='dataset')"
    assert client.python(plain).code == 0
    hub.requests.clear()
    found = json.loads(client.inrzoo("list", "--hub", "--json", token="hf_bob").out)
    assert len(hub.requests) == 1
    assert [entry["repo_id"] for entry in found] == ["ada/tiny", "bob/shards"]
    store = open_store(larger)
    tiny = found[0]
    assert tiny["version"] == 2 and tiny["format"] == 1 and tiny["num_inrs"] == store.status.size == 18
    assert tiny["num_bytes"] == 4 * 18 * store.layout.num_params
    text = client.inrzoo("list", "--hub").out
    assert "bob" not in text and "v2" in text and f"{tiny['psnr_median']:.2f} dB" in text and "7.6 kB" in text
    assert json.loads(client.inrzoo("list", "--hub", "bob", "--json").out) == []
    assert len(json.loads(client.inrzoo("list", "--hub", "bob", "--json", token="hf_bob").out)) == 1


def test_a_card_that_was_changed_by_hand(hub: Hub, client: Client) -> None:
    code = """
from huggingface_hub import HfApi
api = HfApi()
api.create_repo("ada/odd", repo_type="dataset")
card = b"---\\nlicense: mit\\ntags: [inrzoo]\\ninrzoo: {version: many, num_inrs: 3}\\n---\\n"
api.upload_file(path_or_fileobj=card, path_in_repo="README.md", repo_id="ada/odd", repo_type="dataset")
"""
    assert client.python(code).code == 0
    done = client.inrzoo("list", "--hub")
    assert done.code == 0 and "ada/odd" in done.out and "?" in done.out


def test_a_user_without_hub_is_a_question(hub: Hub, client: Client) -> None:
    done = client.inrzoo("list", "ada")
    assert done.code == 2 and "inrzoo list --hub ada" in done.err
