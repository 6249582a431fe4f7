# SPDX-License-Identifier: BSD-3-Clause
"""Asks real shells what they would complete."""

import os
import pty
import re
import select
import subprocess
import time
from pathlib import Path

CONF = Path(__file__).resolve().parents[2] / "conf/completion"

BASH = r"""
source "$1"
shift
specification=($(complete -p "$1"))
COMP_WORDS=("$@")
COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
COMP_LINE="$*"
COMP_POINT=${#COMP_LINE}
# The function stands behind -F.
for ((i = 0; i < ${#specification[@]}; i++)); do
	[ "${specification[i]}" != -F ] || function=${specification[i + 1]}
done
"$function" "$1" "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
printf '%s\n' "${COMPREPLY[@]}"
"""


def bash(words, cwd):
    """What bash would complete the last word of a command line to, by the command's function."""
    done = subprocess.run(
        ["bash", "--norc", "-euc", BASH, "bash", CONF / "bash" / words[0], *words],
        cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 0 and done.stderr == "", done.stderr
    return set(done.stdout.split())


# In a real line editor, whose completion writes what it found to a file.
ZSH = r"""
PROMPT= RPROMPT=
fpath=($1 $fpath)
autoload -Uz compinit && compinit -D -u
compadd() {
	local -a hits
	if [[ ${argv[(I)-[OAD]]} -ne 0 ]]; then
		builtin compadd "$@"
		return
	fi
	builtin compadd -A hits "$@"
	print -rl -- $hits >>$ICP_FOUND
	builtin compadd "$@"
}
found-all() { zle complete-word; print -r -- ':end' >>$ICP_FOUND; zle kill-whole-line }
zle -N found-all
bindkey '^X' found-all
setopt no_list_beep no_beep no_auto_list no_auto_menu
unsetopt zle_bracketed_paste 2>/dev/null
print -r -- ':ready' >>$ICP_FOUND
"""


class Zsh:
    """An interactive zsh on a terminal of its own."""

    def __init__(self, directory):
        self.found = directory / "found"
        self.found.touch()
        start = directory / "start.zsh"
        start.write_text(ZSH.replace("$1", str(CONF / "zsh")), encoding="utf-8")
        self.pid, self.terminal = pty.fork()
        if self.pid == 0:
            os.chdir(directory)
            os.execvpe("zsh", ["zsh", "-f", "-i"],
                       {"PATH": os.environ["PATH"], "TERM": "dumb", "ICP_FOUND": str(self.found),
                        "LC_ALL": "C.UTF-8"})
        self.type(f"source {start}\n")
        self.wait_for(":ready")

    def type(self, text):
        os.write(self.terminal, text.encode())

    def wait_for(self, mark):
        """Waits for a line that is the mark, and takes all lines before it."""
        deadline = time.monotonic() + 30
        screen = b""
        while time.monotonic() < deadline:
            if select.select([self.terminal], [], [], 0.05)[0]:
                screen += os.read(self.terminal, 4096)
            lines = self.found.read_text(encoding="utf-8").split("\n")
            if mark in lines:
                self.found.write_text("", encoding="utf-8")
                return set(lines[:lines.index(mark)]) - {""}
        raise AssertionError(f"zsh did not come to {mark}: {screen.decode(errors='replace')}")

    def complete(self, words):
        self.type(" ".join(words) + "\x18")
        return self.wait_for(":end")

    def close(self):
        os.close(self.terminal)
        os.waitpid(self.pid, 0)


def read_help(text):
    """The commands and the options that a --help names."""
    commands = set(re.findall(r"^  ([a-z]+)(?=$|[ ])", text, re.M))
    options = set(re.findall(r"(?<![\w-])(--[a-z][a-z-]*|-c)\b", text))
    return commands, options
