"""Official JSON Schemas and a validator, where they are at hand: ajv, CycloneDX's and SARIF's come from
npm packages in $SALLYPORT_NODE_MODULES, SPDX's are spdx-2.3.json and spdx-3.0.json in
$SALLYPORT_SBOM_SCHEMAS. ./dev makes both in build/schemas, but for that of SPDX 2.3, which is in no
package. What SPDX demands of the parts that we write is checked without its schemas, too."""
import os
import re
import shutil
import subprocess
import tempfile

AJV = """
const fs = require('fs'), path = require('path'), [modules, ours] = process.argv.slice(2, 4);
const load = (f) => JSON.parse(fs.readFileSync(f, 'utf8').replace(/^\\uFEFF/, ''));
const formats = require(path.join(modules, 'ajv-formats')).default;
const make = (kind) => {
  const ajv = new (require(path.join(modules, kind)).default)(
    {strict: false, unicodeRegExp: false, formats: {'idn-email': true, 'iri-reference': true}});
  formats(ajv);
  return ajv;
};
const draft7 = make('ajv'), draft2020 = make('ajv/dist/2020');
const cyclonedx = path.join(modules, '@cyclonedx/cyclonedx-library/res/schema');
for (const name of fs.readdirSync(cyclonedx))
  if (/^(spdx|jsf|cryptography-defs).*schema.json$/.test(name))
    draft7.addSchema(load(path.join(cyclonedx, name)), 'http://cyclonedx.org/schema/' + name);
const files = {
  cyclonedx: path.join(cyclonedx, 'bom-1.6.SNAPSHOT.schema.json'),
  sarif: path.join(modules, '@microsoft/jest-sarif/lib/schemas/sarif-2.1.0-rtm.5.json'),
  spdx: path.join(ours, 'spdx-2.3.json'), spdx3: path.join(ours, 'spdx-3.0.json'),
};
const checks = {};
function checkOf(form) {
  if (checks[form]) return checks[form];
  const schema = load(files[form]), ajv = form === 'spdx3' ? draft2020 : draft7;
  delete schema.$schema;                          // draft 4 and 7 alike, as ajv reads them
  const id = schema.$id || schema.id;
  delete schema.id;
  return checks[form] = (id && ajv.getSchema(id)) || ajv.compile(schema);
}
let failed = 0;
for (const [form, file] of process.argv.slice(4).map((a) => a.split('='))) {
  const check = checkOf(form);
  if (check(load(file))) { console.log('valid ' + form + ' ' + path.basename(file)); continue; }
  console.log(form, file, JSON.stringify(check.errors.slice(0, 3)));
  failed = 1;
}
process.exit(failed);
"""


def validate(project, files):
    """`files` are "form=path"; those whose schema is absent are named, and not held against it."""
    made = os.path.join(os.path.abspath(project), "build", "schemas")
    modules = os.environ.get("SALLYPORT_NODE_MODULES", os.path.join(made, "node_modules"))
    ours = os.environ.get("SALLYPORT_SBOM_SCHEMAS", made)
    if not shutil.which("node") or not os.path.isdir(os.path.join(modules, "ajv")):
        print(f"not held against schemas: no node, or no {modules}/ajv")
        return
    for form, name in (("spdx=", "spdx-2.3.json"), ("spdx3=", "spdx-3.0.json")):
        if not os.path.exists(os.path.join(ours, name)):
            left = [f for f in files if not f.startswith(form)]
            if left != files:
                print(f"no {name} in {ours}: only its shape is checked")
            files = left
    with tempfile.NamedTemporaryFile("w", suffix=".js", encoding="utf-8") as script:
        script.write(AJV)
        script.flush()
        done = subprocess.run(["node", script.name, modules, ours, *files], capture_output=True,
                              text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    print(done.stdout, end="")


# --- What SPDX demands, as far as it concerns what we write.

TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"
HEX = {"md5": 32, "sha1": 40, "sha256": 64, "sha384": 96, "sha512": 128}


def fields(what, required, optional=()):
    """Each field once known by name: `required` are there, and nothing beside `optional`."""
    missing = set(required) - set(what)
    unknown = set(what) - set(required) - set(optional)
    assert not missing and not unknown, (what, missing, unknown)


def digest(name, value):
    assert re.fullmatch(r"[0-9a-f]{%d}" % HEX[name.lower()], value), (name, value)


def is_licence(text):
    return re.fullmatch(r"NOASSERTION|[A-Za-z0-9.+() -]+", text)


def package_of_spdx(package):
    fields(package, ("SPDXID", "name", "downloadLocation"),
           ("versionInfo", "licenseConcluded", "licenseDeclared", "licenseComments",
            "copyrightText", "filesAnalyzed", "checksums", "comment", "externalRefs",
            "primaryPackagePurpose"))
    assert re.fullmatch(r"SPDXRef-[A-Za-z0-9.-]+", package["SPDXID"])
    assert package["name"] and is_licence(package["licenseDeclared"]), package
    assert package.get("primaryPackagePurpose", "CONTAINER") in ("APPLICATION", "CONTAINER")
    for checksum in package.get("checksums", []):
        fields(checksum, ("algorithm", "checksumValue"))
        assert checksum["algorithm"] in ("MD5", "SHA1", "SHA256", "SHA384", "SHA512")
        digest(checksum["algorithm"], checksum["checksumValue"])
    for reference in package.get("externalRefs", []):
        fields(reference, ("referenceCategory", "referenceType", "referenceLocator"))
        assert reference["referenceCategory"] == "PACKAGE-MANAGER"
        assert reference["referenceLocator"].startswith("pkg:")


def shape_of_spdx(document):
    """SPDX 2.3."""
    fields(document, ("spdxVersion", "dataLicense", "SPDXID", "name", "documentNamespace",
                      "creationInfo", "packages", "relationships"))
    assert (document["spdxVersion"], document["dataLicense"],
            document["SPDXID"]) == ("SPDX-2.3", "CC0-1.0", "SPDXRef-DOCUMENT")
    assert re.fullmatch(r"[a-z]+:[^#\s]+", document["documentNamespace"])
    fields(document["creationInfo"], ("created", "creators"))
    assert re.fullmatch(TIME, document["creationInfo"]["created"])
    assert all(re.match("(Tool|Person|Organization): ", c)
               for c in document["creationInfo"]["creators"])
    for package in document["packages"]:
        package_of_spdx(package)
    ids = [package["SPDXID"] for package in document["packages"]] + [document["SPDXID"]]
    assert len(ids) == len(set(ids)), "an id twice"
    known = set(ids)
    for relationship in document["relationships"]:
        fields(relationship, ("spdxElementId", "relationshipType", "relatedSpdxElement"))
        assert relationship["relationshipType"] in (
            "DESCRIBES", "CONTAINS", "DEPENDS_ON", "DEV_DEPENDENCY_OF", "OPTIONAL_DEPENDENCY_OF")
        assert {relationship["spdxElementId"], relationship["relatedSpdxElement"]} <= known
    assert [r for r in document["relationships"] if r["relationshipType"] == "DESCRIBES"]


# Of each type: what it must have, and may.
ELEMENTS = {
    "SoftwareAgent": (("name",), ()), "Tool": (("name",), ()),
    "SpdxDocument": (("rootElement", "profileConformance"), ("name",)),
    "software_Sbom": (("rootElement", "element"), ()),
    "software_Package": (("name", "software_primaryPurpose"),
                         ("comment", "software_packageVersion", "software_packageUrl",
                          "verifiedUsing")),
    "simplelicensing_LicenseExpression": (("simplelicensing_licenseExpression",), ()),
    "simplelicensing_SimpleLicensingText": (("simplelicensing_licenseText",), ()),
    "Relationship": (("from", "to", "relationshipType"), ()),
    "LifecycleScopedRelationship": (("from", "to", "relationshipType", "scope"), ()),
}


def element_of_spdx3(element):
    required, optional = ELEMENTS[element["type"]]
    fields(element, ("type", "spdxId", "creationInfo", *required), optional)
    assert re.fullmatch(r"urn:uuid:[0-9a-f-]{36}#[A-Za-z0-9.-]+", element["spdxId"]), element
    assert element.get("software_primaryPurpose", "library") in ("application", "container",
                                                                 "library")
    assert element.get("scope", "runtime") in ("development", "runtime")
    assert element.get("relationshipType", "dependsOn") in (
        "dependsOn", "hasOptionalDependency", "hasDeclaredLicense")
    assert element.get("software_packageUrl", "pkg:").startswith("pkg:")
    assert set(element.get("profileConformance", ())) <= {"core", "software", "simpleLicensing"}
    for method in element.get("verifiedUsing", []):
        fields(method, ("type", "algorithm", "hashValue"))
        assert method["type"] == "Hash"
        digest(method["algorithm"], method["hashValue"])


def shape_of_spdx3(document):
    """SPDX 3.0.1."""
    fields(document, ("@context", "@graph"))
    assert document["@context"] == "https://spdx.org/rdf/3.0.1/spdx-context.jsonld"
    infos = [e for e in document["@graph"] if e["type"] == "CreationInfo"]
    elements = [e for e in document["@graph"] if e["type"] != "CreationInfo"]
    assert len(infos) == 1 and infos[0]["specVersion"] == "3.0.1"
    fields(infos[0], ("type", "@id", "specVersion", "created", "createdBy"), ("createdUsing",))
    assert re.fullmatch(TIME, infos[0]["created"]) and infos[0]["@id"].startswith("_:")
    for element in elements:
        element_of_spdx3(element)
        assert element["creationInfo"] == infos[0]["@id"]
    known = {e["spdxId"]: e["type"] for e in elements}
    assert len(known) == len(elements), "an id twice"
    for element in elements + infos:
        for key in ("from", "to", "element", "rootElement", "createdBy", "createdUsing"):
            value = element.get(key, [])
            value = [value] if key == "from" and value else value
            assert isinstance(value, list) and set(value) <= set(known), (key, element)
    assert all(known[agent] == "SoftwareAgent" for agent in infos[0]["createdBy"])
    assert list(known.values()).count("SpdxDocument") == 1
