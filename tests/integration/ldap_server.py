"""A directory for tests: slapd in a folder of its own, on loopback and a Unix socket."""

import os
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.parse

from harness import Skip, free_port
from jose import certificate

SLAPD = shutil.which("slapd") or "/usr/sbin/slapd"
BASE = "dc=example,dc=test"
PEOPLE, GROUPS = "ou=people," + BASE, "ou=groups," + BASE
READER, READER_PASSWORD = "cn=reader," + BASE, "read all of it"
CONF = """
include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
modulepath /usr/lib/ldap
moduleload back_mdb
moduleload memberof
attributetype ( 1.1.2.1 NAME 'userAccountControl' SYNTAX 1.3.6.1.4.1.1466.115.121.1.27 SINGLE-VALUE )
attributetype ( 1.1.2.2 NAME 'nsAccountLock' SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 SINGLE-VALUE )
attributetype ( 1.1.2.3 NAME 'loginDisabled' SYNTAX 1.3.6.1.4.1.1466.115.121.1.7 SINGLE-VALUE )
attributetype ( 1.1.2.4 NAME 'pwdAccountLockedTime' SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 SINGLE-VALUE )
objectclass ( 1.1.2.5 NAME 'switchable' AUXILIARY MAY ( userAccountControl $ nsAccountLock $ loginDisabled $ pwdAccountLockedTime ) )
pidfile {folder}/pid
TLSCACertificateFile {ca}.pem
TLSCertificateFile {server}.pem
TLSCertificateKeyFile {server}.key
referral ldap://127.0.0.1:{referral}
database mdb
suffix "{base}"
rootdn "cn=root,{base}"
rootpw root
directory {folder}/data
maxsize 16777216
dbnosync
overlay memberof
access to attrs=userPassword by anonymous auth by * none
access to * by dn="{reader}" read by self read by * none
"""
START = f"""
dn: {BASE}
objectClass: domain
dc: example

dn: {PEOPLE}
objectClass: organizationalUnit
ou: people

dn: {GROUPS}
objectClass: organizationalUnit
ou: groups

dn: {READER}
objectClass: person
cn: reader
sn: reader
userPassword: {READER_PASSWORD}
"""


def person(uid, password="a long password", ou=PEOPLE, **more):
    lines = [f"dn: uid={uid},{ou}", "objectClass: inetOrgPerson", f"uid: {uid}"]
    more = {"cn": uid.capitalize(), "sn": "Doe", "mail": f"{uid}@example.test", **more}
    lines += [f"{name}: {value}" for name, value in more.items() if value is not None]
    return "\n".join(lines + [f"userPassword: {password}", ""])


def group(name, *uids):
    lines = [f"dn: cn={name},{GROUPS}", "objectClass: groupOfNames", f"cn: {name}"]
    return "\n".join(lines + [f"member: uid={uid},{PEOPLE}" for uid in uids] + [""])


class Directory:
    def __init__(self, referral=9):
        if not os.access(SLAPD, os.X_OK) or not shutil.which("ldapadd"):
            raise Skip("slapd and ldap-utils are needed")
        self.folder = tempfile.mkdtemp(prefix="sallyport-ldap.")
        self.port, self.tls_port = free_port(), free_port()
        self.ca = certificate(self.folder, "authority", "/CN=authority")
        server = certificate(self.folder, "server", "/CN=directory", self.ca, "IP:127.0.0.1")
        os.mkdir(self.folder + "/data")
        with open(self.folder + "/slapd.conf", "w", encoding="utf-8") as file:
            file.write(CONF.format(folder=self.folder, base=BASE, reader=READER, ca=self.ca, server=server,
                                   referral=referral))
        self.socket = "ldapi://" + urllib.parse.quote(self.folder + "/socket", safe="")
        self.process = None
        self.start()
        self.add(START)

    def start(self):
        with open(self.folder + "/log", "ab") as log:
            self.process = subprocess.Popen(
                [SLAPD, "-d", "0", "-f", self.folder + "/slapd.conf", "-h",
                 f"ldap://127.0.0.1:{self.port}/ ldaps://127.0.0.1:{self.tls_port}/ {self.socket}"],
                stdout=log, stderr=log)
        until = time.monotonic() + 20
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError as error:
                with open(self.folder + "/log", encoding="utf-8", errors="replace") as log:
                    text = log.read()
                if self.process.poll() is not None or time.monotonic() > until:
                    raise AssertionError("slapd does not serve: " + text) from error
                time.sleep(0.05)

    def end(self):
        self.process.terminate()
        self.process.wait(20)

    def run(self, tool, *arguments, text=""):
        done = subprocess.run([tool, "-H", self.socket, "-x", "-D", "cn=root," + BASE, "-w", "root", *arguments],
                              input=text, capture_output=True, text=True, check=False, timeout=20)
        assert done.returncode == 0, (tool, arguments, done.stderr)
        return done.stdout

    def add(self, *entries):
        self.run("ldapadd", text="\n".join(entries))

    def modify(self, text):
        self.run("ldapmodify", text=text)

    def remove(self, dn):
        self.run("ldapdelete", dn)

    def stop(self):
        if self.process.poll() is None:
            self.end()
        shutil.rmtree(self.folder, ignore_errors=True)
