"""The process that downloads: started by `download`, so that a cancel can kill it at any moment.

It runs under the name `transfer`, not under that of our package, and imports nothing but the standard library and
`huggingface_hub`: a host such as ComfyUI loads our package under a name of its own, and this process should start
fast. Lines of JSON go both ways:

    in    {"sys_path", "repo_id", "revision", "cache"}
    out   {"commit", "files": [RemoteFile]}              what the repository holds
    in    [Transfer]                                     what to download, in this order
    out   {"arrived": name}                              for each of them
    out   {"finished": true}

or, at any time, out {"error": "half a sentence for a person"}. It ends when its stdin closes, so it never outlives the
process that started it.

    remote        files of a repository, and where one goes
    listing       asks the hub what a repository holds; checks every name before it becomes part of a path
    reception     brings one file under its name, taking up what an earlier attempt left
    answers       answers of a server as they come: never more than was announced, never decoded, not too slowly
    explanation   errors for a person
    process       reads the orders
"""
