"""The routes of the Hub for tests: repositories, blobs, commits, branches, tags, pull requests, LFS."""

import base64
import hashlib
import json
import re
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from server import Hub, Repo

Tree = dict[str, tuple[str, bool]]
"""path -> (sha256 of the content, whether it is stored as a large file)."""
LICENCES = {"mit", "cc0-1.0", "cc-by-4.0", "cc-by-sa-3.0", "cc-by-sa-4.0", "apache-2.0", "other", "unknown"}
FRAMEWORKS = {"inrzoo", "inspect-ai", "mteb"}
"""Names that the `evaluation_framework` of an `eval.yaml` may have."""
PAGE = 40
"""Entries of a page of a listing: few, so that paging happens."""


def key(kind: str, name: str) -> str:
    """Name of a repository here: `USER/NAME` of a dataset, `spaces/USER/NAME` and `models/USER/NAME` of others."""
    return name if kind == "datasets" else f"{kind}/{name}"


class Answer(Exception):
    """An answer that is an error."""

    def __init__(self, status: int, code: str = "", message: str = "") -> None:
        self.status, self.code, self.message = status, code, message


class Routes:
    """Answers of a request handler; `server` carries them."""

    hub: "Hub"
    command: str
    path: str
    route: str
    query: dict[str, list[str]]
    body: bytes
    headers: Any
    fault: Any
    extra: dict[str, str]
    send: Any

    def _user(self) -> str | None:
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        if token and token not in self.hub.tokens:
            raise Answer(401, message="Invalid credentials in Authorization header")
        return self.hub.tokens.get(token)

    def _repo(self, name: str, write: bool) -> "Repo":
        repo, user = self.hub.repos.get(name), self._user()
        owner = user == name.split("/")[-2]
        if repo is None or (repo.private and not owner):
            raise Answer(404 if user else 401, "RepoNotFound", "Repository not found")
        if write and not owner:
            raise Answer(403 if user else 401, message="You don't have the rights to write to this repo")
        return repo

    def answer(self) -> Any:
        route, user = self.route, self._user()
        if route == "/api/whoami-v2":
            if user is None:
                raise Answer(401, message="Invalid username or password.")
            return {"type": "user", "name": user, "orgs": [], "auth": {"type": "access_token"}}
        if route == "/api/validate-yaml":
            return self._validate()
        if route == "/api/repos/create":
            return self._create(user)
        if route == "/api/datasets":
            names = sorted(name for name in self.hub.repos if name.count("/") == 1)
            return [self._info(name, "main") for name in names if self._listed(name, user)]
        if route.startswith("/lfs/"):
            sha = route.removeprefix("/lfs/")
            if hashlib.sha256(self.body).hexdigest() != sha:
                raise Answer(400, message="content is not what the oid says")
            self.hub.put(self.body)
            self.hub.uploads.append(sha)
            return {}
        if found := re.fullmatch(r"/(?:(datasets|spaces)/)?([^/]+/[^/]+)\.git/info/lfs/objects/(batch|verify)", route):
            return self._lfs(key(found[1] or "models", found[2]), found[3])
        if found := re.fullmatch(r"/(?:api/)?(datasets|spaces|models)/([^/]+/[^/]+)(?:/([a-z-]+)(?:/(.+))?)?", route):
            return self._of_repo(key(found[1], found[2]), found[3] or "revision", found[4] or "main")
        if found := re.fullmatch(r"/([^/]+/[^/]+)/resolve/(.+)", route):
            return self._of_repo(key("models", found[1]), "resolve", found[2])
        raise Answer(404, message=f"no route {route}")

    def _validate(self) -> Any:
        header = re.match(r"---\n(.*?)\n---\n", json.loads(self.body)["content"], re.DOTALL)
        data = yaml.safe_load(header[1]) if header else {}
        wrong = [] if data.get("license", "unknown") in LICENCES else [{"message": f"license {data.get('license')}"}]
        if wrong:
            self.send(400, json.dumps({"errors": wrong, "warnings": []}).encode(), {})
            return None
        return {"errors": [], "warnings": []}

    def _validate_benchmark(self, table: Any) -> None:
        """Check an `eval.yaml` against https://huggingface.co/docs/hub/eval-results#evalyaml-specification."""
        if not {"name", "description", "evaluation_framework", "tasks"} <= table.keys():
            raise Answer(400, message=f"Invalid eval.yaml: it has only {sorted(table)}")
        if table["evaluation_framework"] not in self.hub.frameworks:
            raise Answer(400, message=f"Invalid eval.yaml: framework {table['evaluation_framework']}")
        if not table["tasks"] or not all({"id"} <= task.keys() <= {"id", "config", "split"} for task in table["tasks"]):
            raise Answer(400, message=f"Invalid eval.yaml: tasks {table['tasks']}")

    def _create(self, user: str | None) -> Any:
        given = json.loads(self.body)
        owner = given.get("organization") or user
        kind = given.get("type") or "model"
        name = key(f"{kind}s", f"{owner}/{given['name']}")
        if name in self.hub.repos:
            self.send(409, json.dumps({"error": "You already created this dataset repo", "url": name}).encode(), {})
            return None
        if user is None or owner != user:
            raise Answer(403 if user else 401, message="You don't have the rights to create a dataset here")
        repo = self.hub.new_repo(private=given.get("visibility") == "private" or bool(given.get("private")))
        self.hub.repos[name] = repo
        files = {".gitattributes": b"*.parquet filter=lfs\n"}
        if kind == "space":  # as the Hub fills a new static Space
            assert given["sdk"] == "static"
            files |= {"README.md": b"---\nsdk: static\n---\n", "index.html": b"<h1>New</h1>", "style.css": b"h1 {}"}
        self.hub.commit(repo, "main", {path: (self.hub.put(content), False) for path, content in files.items()})
        return {"url": self._page(name), "name": name, "id": name}

    def _page(self, name: str) -> str:
        return f"{self.hub.endpoint}/{'datasets/' if name.count('/') == 1 else ''}{name.removeprefix('models/')}"

    def _listed(self, name: str, user: str | None) -> bool:
        author = self.query.get("author", [name.split("/")[0]])[0]
        tags = (self._card(name) or {}).get("tags", [])
        seen = not self.hub.repos[name].private or user == name.split("/")[0]
        return seen and author == name.split("/")[0] and all(tag in tags for tag in self.query.get("filter", []))

    def _card(self, name: str) -> dict[str, Any] | None:
        text = self.hub.tree(name).get("README.md", b"").decode()
        header = re.match(r"---\n(.*?)\n---\n", text, re.DOTALL)
        return yaml.safe_load(header[1]) if header else None

    def _info(self, name: str, revision: str) -> Any:
        repo = self.hub.repos[name]
        sha = self._commit(repo, revision)
        siblings = [{"rfilename": path} for path in sorted(repo.commits[sha])]
        card = self._card(name) or {}
        return {"id": name, "_id": name, "sha": sha, "private": repo.private, "siblings": siblings, "cardData": card,
                "tags": card.get("tags", []), "downloads": 0, "likes": 0, "gated": False}  # fmt: skip

    def _commit(self, repo: "Repo", revision: str) -> str:
        sha = self.hub.commit_of(repo, revision)
        if sha is None:
            raise Answer(404, "RevisionNotFound", "Revision not found")
        return sha

    def _lfs(self, name: str, what: str) -> Any:
        if what == "verify":
            return {}
        given = json.loads(self.body)
        self._repo(name, write=not given.get("ref", {}).get("name", "").startswith("refs/pr/"))
        objects = []
        for wanted in given["objects"]:
            needed = wanted["oid"] not in self.hub.blobs
            actions = {
                "upload": {"href": f"{self.hub.endpoint}/lfs/{wanted['oid']}"},
                "verify": {"href": f"{self._page(name)}.git/info/lfs/objects/verify"},
            }
            objects.append({**wanted, **({"actions": actions} if needed else {})})
        return {"transfer": "basic", "objects": objects}

    def _of_repo(self, name: str, what: str, rest: str) -> Any:
        write = self.command == "POST" and what in ("preupload", "commit", "tag", "branch")
        pull_request = what in ("preupload", "commit") and rest.startswith("refs/pr/") and self._user() is not None
        repo = self._repo(name, write and not pull_request)
        if what == "revision":
            return self._info(name, rest)
        if what == "refs":
            both = {"branches": repo.refs, "tags": repo.tags}
            listed = {
                kind: [
                    {"name": ref, "ref": ref, "targetCommit": sha} for ref, sha in refs.items() if "refs/" not in ref
                ]
                for kind, refs in both.items()
            }
            return {**listed, "converts": []}
        if what in ("tag", "branch"):
            target, given = (repo.tags, json.loads(self.body)["tag"]) if what == "tag" else (repo.refs, rest)
            if given in target:
                raise Answer(409, message=f"{what} exists")
            target[given] = self._commit(repo, rest if what == "tag" else "main")
            return {}
        if what == "discussions":
            return self._discussions(name, repo)
        if what in ("preupload", "commit"):
            return self._write(name, repo, what, rest)
        revision, path = self._split(repo, rest)
        entries = repo.commits[self._commit(repo, revision)]
        if what == "tree":
            return self._tree(entries, path)
        if what == "paths-info":
            wanted = json.loads(self.body)["paths"]
            return [self._entry(name, *entries[name]) for name in wanted if name in entries]
        return self._resolve(self._commit(repo, revision), entries, path)

    def _split(self, repo: "Repo", rest: str) -> tuple[str, str]:
        for revision in sorted([*repo.refs, *repo.tags], key=len, reverse=True):  # a branch may have slashes
            if rest == revision or rest.startswith(revision + "/"):
                return revision, rest[len(revision) + 1 :]
        revision, _, path = rest.partition("/")
        return revision, path

    def _discussions(self, name: str, repo: "Repo") -> Any:
        if self.command == "POST":
            number = len(repo.titles) + 1
            repo.titles[number] = json.loads(self.body)["title"]
            repo.refs[f"refs/pr/{number}"] = repo.refs["main"]
        listed = [{"num": number, "title": title, "author": {"name": self._user()}, "status": "open",
                   "isPullRequest": True, "createdAt": "2026-01-01T00:00:00.000Z",
                   "repo": {"name": name, "type": "dataset"}} for number, title in repo.titles.items()]  # fmt: skip
        if self.command == "POST":
            return listed[-1]
        if re.search(r"/discussions/\d+$", self.route):
            number = int(self.route.rsplit("/", 1)[1])
            return {
                **listed[number - 1],
                "events": [],
                "changes": {"base": "refs/heads/main"},
                "filesWithConflicts": [],
            }
        return {"discussions": listed, "count": len(listed), "start": 0}

    def _entry(self, path: str, sha: str, large: bool) -> Any:
        content = self.hub.blobs[sha]
        git = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
        lfs = {"lfs": {"oid": sha, "size": len(content), "pointerSize": 130}} if large else {}
        return {"type": "file", "path": path, "size": len(content), "oid": git, **lfs}

    def _tree(self, entries: Tree, path: str) -> Any:
        inside = {name: value for name, value in entries.items() if not path or name.startswith(path + "/")}
        if path and not inside:
            raise Answer(404, "EntryNotFound", "no such folder")
        depth = len(path.split("/")) if path else 0
        folders = {"/".join(name.split("/")[: depth + 1]) for name in inside if name.count("/") > depth}
        recursive = self.query.get("recursive", ["false"])[0].lower() in ("true", "1")
        listed = [{"type": "directory", "path": name, "oid": name, "size": 0} for name in sorted(folders)]
        listed += [self._entry(name, *value) for name, value in sorted(inside.items())
                   if recursive or name.count("/") == depth]  # fmt: skip
        start = int(self.query.get("cursor", ["0"])[0])
        if start + PAGE < len(listed):
            base = f"{self.hub.endpoint}{self.path.split('?')[0]}?recursive={recursive}&cursor={start + PAGE}"
            self.extra = {"Link": f'<{base}>; rel="next"'}
        else:
            self.extra = {}
        return listed[start : start + PAGE]

    def _write(self, name: str, repo: "Repo", what: str, revision: str) -> Any:
        entries = repo.commits[self._commit(repo, revision)]
        if what == "preupload":
            files = []
            for file in json.loads(self.body)["files"]:
                text = file["size"] < 10**6 and b"\0" not in base64.b64decode(file["sample"])
                sha, _ = entries.get(file["path"], (None, False))
                mode = "regular" if text else "lfs"
                known = sha and (self._entry("", sha, False)["oid"] if text else sha)
                files.append({"path": file["path"], "uploadMode": mode, "shouldIgnore": False, "oid": known})
            return {"files": files}
        lines = [json.loads(line) for line in self.body.splitlines() if line.strip()]
        parent = lines[0]["value"].get("parentCommit")
        if parent and parent != repo.refs[revision]:
            raise Answer(412, message="A commit has happened since. Please refresh and try again.")
        tree = dict(entries)
        for line in lines[1:]:
            value = line["value"]
            if line["key"] == "file" and value["path"] == "eval.yaml":
                self._validate_benchmark(yaml.safe_load(base64.b64decode(value["content"])))
            if line["key"] == "file":
                tree[value["path"]] = (self.hub.put(base64.b64decode(value["content"])), False)
            elif line["key"] == "lfsFile":
                if value["oid"] not in self.hub.blobs:
                    raise Answer(400, message="LFS pointer to a file that was never uploaded")
                tree[value["path"]] = (value["oid"], True)
            elif line["key"] == "deletedFile":
                del tree[value["path"]]
        sha = self.hub.commit(repo, revision, tree)
        return {"commitUrl": f"{self._page(name)}/commit/{sha}", "commitOid": sha, "success": True}

    def _resolve(self, commit: str, entries: Tree, path: str) -> None:
        if path not in entries:
            raise Answer(404, "EntryNotFound", "Entry not found")
        sha, large = entries[path]
        content = self.hub.blobs[sha]
        headers = {"X-Repo-Commit": commit, "ETag": f'"{sha}"', "Accept-Ranges": "bytes"}
        if large:
            headers |= {"X-Linked-Etag": f'"{sha}"', "X-Linked-Size": str(len(content))}
        if self.fault and self.fault.kind == "corrupt":
            content = bytes(byte ^ 255 for byte in content)
        status, span = 200, re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if span:
            first, last = int(span[1]), min(int(span[2] or len(content)), len(content) - 1)
            if first >= len(content):
                return self.send(416, b"", {"Content-Range": f"bytes */{len(content)}"})
            headers["Content-Range"] = f"bytes {first}-{last}/{len(content)}"
            content, status = content[first : last + 1], 206
        return self.send(
            status,
            content,
            {**headers, "Access-Control-Allow-Origin": "*", "Access-Control-Expose-Headers": "Content-Range"},
        )
