"""Addresses that lead inwards, or might to some reader: for tests that see to it that nothing connects to them.

`{port}` is where a listener on 127.0.0.1 and ::1 waits. Notations after the "IPv4 parser" of https://url.spec.whatwg.org/
and after what inet_aton(3) takes; ranges after IANA's special-purpose registries.
"""

from __future__ import annotations

LOOPBACK = """
http://127.0.0.1:{port}/ http://127.0.0.2:{port}/ http://127.1.2.3:{port}/ http://127.255.255.254:{port}/
https://127.0.0.1:{port}/ HTTP://127.0.0.1:{port}/ http://127.0.0.1.:{port}/ http://127.0.0.1..:{port}/
http://127.1:{port}/ http://127.0.1:{port}/ http://127.1.:{port}/ http://0127.0.0.1:{port}/ http://127.0.0.01:{port}/
http://0177.0.0.1:{port}/ http://0177.0.0.01:{port}/ http://0177.1:{port}/ http://00000177.0.0.1:{port}/
http://0x7f.0.0.1:{port}/ http://0x7f.1:{port}/ http://0x7f.0x0.0x0.0x1:{port}/ http://0X7F.0.0.1:{port}/
http://0x7f000001:{port}/ http://0x7F000001:{port}/ http://0x000000007f000001:{port}/ http://2130706433:{port}/
http://2130706433.:{port}/ http://017700000001:{port}/ http://127.0x1:{port}/ http://0x7f.00.1:{port}/
http://6425673729:{port}/ http://127.0.0.1%00:{port}/ http://127.0.0.1%20:{port}/ http://%31%32%37.0.0.1:{port}/
http://127%2e0%2e0%2e1:{port}/ http://localhost:{port}/ http://LOCALHOST:{port}/ http://localhost.:{port}/
http://foo.localhost:{port}/ http://localhost.localdomain:{port}/ http://ip6-localhost:{port}/ http://%6cocalhost:{port}/
http://１２７.0.0.1:{port}/ http://１２７。０。０。１:{port}/ http://①②⑦.⓪.⓪.①:{port}/ http://127。0。0。1:{port}/
http://127．0．0．1:{port}/ http://127｡1:{port}/ http://ⓛⓞⓒⓐⓛⓗⓞⓢⓣ:{port}/ http://ｌocalhost:{port}/ http://𝟏𝟐𝟕.𝟎.𝟎.𝟏:{port}/
http://٢١٣٠٧٠٦٤٣٣:{port}/ http://127.0.0.١:{port}/
http://0:{port}/ http://0.0.0.0:{port}/ http://0.0:{port}/ http://0x0:{port}/ http://00:{port}/ http://0.1.2.3:{port}/
"""

SIX = """
http://[::1]:{port}/ http://[0:0:0:0:0:0:0:1]:{port}/ http://[0000::0001]:{port}/ http://[::]:{port}/ https://[::1]:{port}/
http://[::127.0.0.1]:{port}/ http://[::7f00:1]:{port}/ http://[::ffff:127.0.0.1]:{port}/ http://[::ffff:7f00:1]:{port}/
http://[::FFFF:7F00:0001]:{port}/ http://[0:0:0:0:0:ffff:127.0.0.1]:{port}/ http://[::ffff:0:127.0.0.1]:{port}/
http://[64:ff9b::127.0.0.1]:{port}/ http://[64:ff9b::7f00:1]:{port}/ http://[64:ff9b::10.0.0.1]:{port}/
http://[64:ff9b:1::10.0.0.1]:{port}/ http://[64:ff9b::169.254.169.254]:{port}/ http://[64:ff9b::a9fe:a9fe]:{port}/
http://[2002:7f00:1::]:{port}/ http://[2002:a00:1::1]:{port}/ http://[2002:a9fe:a9fe::1]:{port}/
http://[2001::1]:{port}/ http://[2001:0:4136:e378:8000:63bf:80ff:fffe]:{port}/ http://[2001:db8::1]:{port}/
http://[2001:10::1]:{port}/ http://[2001:2::1]:{port}/ http://[3fff::1]:{port}/ http://[5f00::1]:{port}/ http://[100::1]:{port}/
http://[fe80::1]:{port}/ http://[fe80::1%25lo]:{port}/ http://[fe80::1%lo]:{port}/ http://[::1%25lo]:{port}/
http://[::1%lo]:{port}/ http://[::1%251]:{port}/ http://[fec0::1]:{port}/ http://[fc00::1]:{port}/ http://[fd00::1]:{port}/
http://[fd00:ec2::254]:{port}/ http://[ff02::1]:{port}/ http://[ff0e::1]:{port}/ http://[::ffff:10.0.0.1]:{port}/
http://[::ffff:169.254.169.254]:{port}/ http://[::ffff:8.8.8.8]:{port}/ http://[127.0.0.1]:{port}/ http://[localhost]:{port}/
http://::1:{port}/ http://[::1:{port}/ http://::1]:{port}/ http://[[::1]]:{port}/ http://[v1.::1]:{port}/ http://[]:{port}/
http://[::1].:{port}/ http://[::1]x:{port}/
"""

RANGES = """
http://10.0.0.1/ http://10.255.255.255/ http://172.16.0.1/ http://172.31.255.255/ http://192.168.0.1/ http://192.168.255.255/
http://169.254.169.254/latest/meta-data/ http://169.254.170.2/v2/credentials http://169.254.0.1/ http://0xa9fea9fe/
http://2852039166/ http://0251.0376.0251.0376/ http://169.16689662/ http://169.254.43518/ http://0xa9.0xfe.0xa9.0xfe/
http://[fd00:ec2::254]/latest/meta-data/ http://100.64.0.1/ http://100.127.255.255/ http://100.100.100.200/latest/
http://168.63.129.16/ http://192.0.0.1/ http://192.0.0.192/ http://192.0.2.1/ http://198.51.100.1/ http://203.0.113.1/
http://198.18.0.1/ http://198.19.255.255/ http://192.88.99.1/ http://224.0.0.1/ http://239.255.255.255/ http://240.0.0.1/
http://255.255.255.255/ http://0xffffffff/ http://4294967295/ http://10.1/ http://0xa.1/ http://012.0.0.1/ http://192.168.257/
"""

SHAPES = """
http://user@127.0.0.1:{port}/ http://user:word@127.0.0.1:{port}/ http://8.8.8.8@127.0.0.1:{port}/
http://127.0.0.1:{port}@8.8.8.8:{port}/ http://example.com%40127.0.0.1:{port}/ http://127.0.0.1:{port}#@8.8.8.8/
http://8.8.8.8\\@127.0.0.1:{port}/ http:\\\\127.0.0.1:{port}/ http:/127.0.0.1:{port}/ http:127.0.0.1:{port}/
http:///127.0.0.1:{port}/ http:////127.0.0.1:{port}/ //127.0.0.1:{port}/ 127.0.0.1:{port}/ /127.0.0.1:{port}/
http://127.0.0.1:{port}:80/ http://127.0.0.1:0{port}0/ http://127.0.0.1:-1/ http://127.0.0.1:+{port}/ http://127.0.0.1:0/
ftp://127.0.0.1:{port}/ gopher://127.0.0.1:{port}/_x file:///etc/passwd file://127.0.0.1/etc/passwd dict://127.0.0.1:{port}/
ldap://127.0.0.1:{port}/ ws://127.0.0.1:{port}/ unix:///var/run/docker.sock jar:http://127.0.0.1:{port}!/
http+unix://%2Fvar%2Frun%2Fdocker.sock/ blob:http://127.0.0.1:{port}/ url:http://127.0.0.1:{port}/ javascript:1
http://127.0.0.1,8.8.8.8:{port}/ http://8.8.8.8;127.0.0.1:{port}/ http://(127.0.0.1):{port}/ http://<127.0.0.1>:{port}/
http://127.0.0.1&8.8.8.8:{port}/ http://-127.0.0.1:{port}/ http://127.0.0.256:{port}/ http://127.0.0.1.0x:{port}/
"""

WITH_SPACES = [
    " http://127.0.0.1:{port}/",
    "\thttp://127.0.0.1:{port}/",
    "http://127.0.0.1:{port}/\r\nHost: x",
    "http://127.0.0.1\n:{port}/",
    "http://127.0.\t0.1:{port}/",
    "http://127.0.0.1 :{port}/",
    "http://127.0.0.1\0:{port}/",
    "http://127\u200b.0.0.1:{port}/",
    "http://127\u00ad.0.0.1:{port}/",
    "ht\ntp://127.0.0.1:{port}/",
    "",
    "http://",
    "http://:{port}/",
    "http://.:{port}/",
]

ADDRESSES = [*LOOPBACK.split(), *SIX.split(), *RANGES.split(), *SHAPES.split(), *WITH_SPACES]

# Names that anybody can have lead inwards, and what they lead to; {port} is the listener's here, too.
NAMES = {
    "loopback.example": ["127.0.0.1"],
    "loopback6.example": ["::1"],
    "nothing.example": ["0.0.0.0"],
    "nothing6.example": ["::"],
    "mapped.example": ["::ffff:127.0.0.1"],
    "private.example": ["10.1.2.3"],
    "carrier.example": ["100.64.1.1"],
    "metadata.example": ["169.254.169.254"],
    "metadata6.example": ["fd00:ec2::254"],
    "scoped.example": ["fe80::1%1"],
    "translated.example": ["64:ff9b::7f00:1"],
    "public-first.example": ["93.184.215.14", "127.0.0.1"],
    "public-last.example": ["127.0.0.1", "93.184.215.14"],
    "public-four.example": ["93.184.215.14", "::1"],
    "public-six.example": ["2606:2800:21f:cb07:6820:80da:af6b:8b2c", "127.0.0.1"],
    "127.0.0.1.nip.example": ["127.0.0.1"],
    "7f000001.rbndr.example": ["127.0.0.1"],
    "trailing.example.": ["127.0.0.1"],
    "bücher.example": ["127.0.0.1"],
    "LOUD.example": ["127.0.0.1"],
    "under_score.example": ["127.0.0.1"],
    "intranet": ["127.0.0.1"],
    "printer.local": ["127.0.0.1"],
    "metadata.google.internal": ["169.254.169.254"],
}
