# SPDX-License-Identifier: BSD-3-Clause
"""The seeds of the block page's harnesses: requests and templates. For seeds.py."""

HTTP = {
    "address": b"203.0.113.80:80\n*\nlang=zh",
    "address-in-brackets": b"[2001:db8::80]:80\n\n",
    "bad-escape": b"a.cn\nen\nname=%zz",
    "bad-host": b"\"><script>.cn\nzh\n",
    "empty": b"",
    "escapes": b"a.cn\nen\nname=%61%2e%63n&lang=%65%6e",
    "international": "WWW.例子。中国:8080\nzh-TW\nname=%e4%be%8b.cn".encode(),
    "name": b"www.example.cn:8080\nen-GB,en;q=0.9,zh;q=0.8\nlang=en",
    "number-and-a-stop-of-uts-46": "2｡".encode(),
    "number": b"0x7f.1\nzh;q=0, *;q=0.5\n&&name=&",
    "nul": b"a\0b\nen\0zh\nname=a\0b",
    "weights": b"a.cn\nzh;q=0.001;q=1,en;q=1.000,,;,*;q=2\nlang=zh",
}


def template(text, settled=0b0101, present=0b0111):
    return bytes([settled, present]) + text


TEMPLATE = {
    "attribute": template(b"<p title=\"{{text}}\" a='{{other}}'>"),
    "comment": template(b"<!-- a -- b --><!doctype html>{{! {{text }}{{text}}"),
    "empty": template(b""),
    "link": template(b"<a href=\"{{url}}\">{{text}}</a>"),
    "link-of-text": template(b"<a href=\"{{text}}\">"),
    "mark-without-end": template(b"a{{text"),
    "nested": template(b"{{#first}}a{{#text}}b{{^other url}}c{{/}}d{{/}}{{/}}{{^second}}e{{/}}"),
    "script": template(b"<script>"),
    "section-over-a-tag": template(b"<p a=\"{{#first}}\">{{/}}"),
    "section-without-end": template(b"{{#first second text}}"),
    "style": template(b"<style media=print>{{style}}</style><STYLE>a</STYLE>{{text}}"),
    "nothing-behind-a-section": template(b"{{^url}}c{{/}}{{text}}}", 0b1101, 0b0010),
    "unknown": template(b"\n{{what}}"),
    "unquoted": template(b"<p a=b{{text}}>"),
}
