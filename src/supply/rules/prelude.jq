# Functions for rules. Documents are maps; each map has its line as "@line".
def arr: if type == "array" then . else [] end;
def obj: if type == "object" then . else {} end;
def txt: if type == "string" then . elif type == "object" or type == "array" or . == null then ""
  else tostring end;
def num: tonumber? // null;
def yes: txt | ascii_downcase | (. == "true" or . == "yes" or . == "on" or . == "1");

# Kubernetes: lists of resources are taken apart.
def each($kind): if $kind == "kubernetes" and .kind == "List" then .items[] else . end;
def podspec:
  (if .kind == "Pod" then .spec
   elif .kind == "CronJob" then .spec.jobTemplate.spec.template.spec
   elif (.kind | IN("Deployment", "DaemonSet", "StatefulSet", "ReplicaSet", "Job",
                    "ReplicationController", "DeploymentConfig", "Rollout"))
   then .spec.template.spec
   else empty end) | select(type == "object");
def podmeta:
  if .kind == "Pod" then .metadata
  elif .kind == "CronJob" then .spec.jobTemplate.spec.template.metadata
  else .spec.template.metadata end | obj;
def own_containers: podspec | .containers | arr[] | select(type == "object");
def containers: own_containers, (podspec | .initContainers, .ephemeralContainers | arr[]
  | select(type == "object"));
def capabilities($what): .securityContext | obj | .capabilities | obj | .[$what] | arr | map(txt | ascii_upcase | if startswith("CAP_") then .[4:] else . end);
# Words of a container's command, and those that run a program.
def words: [(.command | arr[]), (.args | arr[]) | txt | split(" ")[] | select(length > 0)];
def program($name): containers | select((words | any(. == $name or endswith("/" + $name)))
  or ((.command | arr | length) == 0 and (.image | txt | split("@")[0] | split("/")[-1] | split(":")[0]) == $name));
# Values of a flag: "--name=value", "--name value" and "--name" as an empty one.
def flag($name): words as $w | [range(0; $w | length) | . as $i
  | if $w[$i] == "--" + $name then
      (if ($w[$i + 1] // "--") | startswith("--") then "" else $w[$i + 1] end)
    elif $w[$i] | startswith("--" + $name + "=") then $w[$i][($name | length) + 3:]
    else empty end];
def has_value($name): flag($name) | any(length > 0);
def has_flag($name): flag($name) | length > 0;
# The images: without digest, without registry, the tag.
def image_tag: txt | split("@")[0] | split("/")[-1] | if contains(":") then split(":")[-1] else "" end;
def image_digest: txt | contains("@sha256:");
# RBAC.
def rbac_rules: select(.kind == "Role" or .kind == "ClusterRole") | .rules | arr[];
def grants($group; $resource; $verb):
  (.apiGroups | arr | any(. == $group or . == "*"))
  and (.resources | arr | any(. == $resource or . == "*"))
  and (.verbs | arr | any(. == $verb or . == "*"));

# Dockerfiles.
def instr($name): .instructions[] | select(.name == $name);
def last_stage: .stages[-1];
# RUN instructions with such a command.
def runs(f): .instructions[] | select(any(.commands[]?; f));
def named($re): .name | test("^(" + $re + ")$");
def with_word($re): any(.words[1:][]; test($re));
# "NAME=value" of ENV, ARG and of commands.
def assigns:
  if .name == "ENV" or .name == "ARG" then
    (if (.words[0] // "") | contains("=") then .words[]
     else (.words[0] // "") + "=" + ((.words[1:] // []) | join(" ")) end)
  else (.commands[]? | (.assigned[], (select(.name == "export" or .name == "env") | .words[1:][])))
  end;
def assigning($re): .instructions[] | select(any(assigns; test($re)));

# Workflows.
def jobs: .jobs | obj | to_entries[] | select(.key != "@line") | .value | select(type == "object");
def steps: jobs | .steps | arr[] | select(type == "object");
def scripts: steps | select(.run | type == "string");
# YAML's "on" may have been read as a truth.
def triggers: (.on // .["true"] // {}) | if type == "string" then [.] elif type == "array" then .
  else (obj | keys) end;
def services: .services | obj | to_entries[] | select(.key != "@line") | .value | select(type == "object");

# nginx: all directives, at any depth.
def ngx: recurse(.directives[]?) | select(has("name"));
def ngx($name): ngx | select(.name == $name);
def inner($name): .directives[]? | select(.name == $name);
# sshd: what counts of a keyword, and every setting of it.
def setting($name): [.settings[] | select(.name == $name and .match == "")][0] // empty;
def each_setting($name): .settings[] | select(.name == $name);
def listed: .value | ltrimstr("+") | split(",") | map(gsub("^\\s+|\\s+$"; ""));
# Shell scripts.
def cmd($re): .commands[] | select(.name | test("^(" + $re + ")$"));
def arg($re): any(.words[1:][]; test($re));
# Image configurations.
def steps_of_image: .history | arr[] | select(type == "object") | .created_by | txt;
def env_pairs: .config | obj | .Env | arr[] | txt | capture("^(?<name>[^=]+)=(?<value>.*)$");
def exposed: .config | obj | .ExposedPorts | obj | keys[] | select(. != "@line");
# OpenAPI and Swagger.
def api_schemes: (.securityDefinitions // (.components | obj | .securitySchemes)) | obj | to_entries[]
  | select(.key != "@line" and (.value | type == "object"));
def verbs: ["get", "put", "post", "delete", "options", "head", "patch", "trace"];
def operations: .paths | obj | to_entries[] | select(.key != "@line") | .value | obj | to_entries[]
  | select(.key as $k | verbs | index($k)) | .value | select(type == "object");
def needs: .security | arr[] | select(type == "object") | to_entries[] | select(.key != "@line");
