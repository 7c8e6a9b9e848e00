#!/bin/sh
# Makes the story's data space below $SPACE: settings, keys, the signed member list and the holders' own files, with
# the verbs that an operator would type. Once: when it has ended well, it leaves everything as it is.
set -eu
space=${SPACE:-/space}
files=${FILES:-/data/files}
catalog=http://localhost:8100
[ ! -e "$space/catalog/.seeded" ] || { echo "The data space is already made."; exit 0; }

# The image's own settings are for serving one participant, not for making five.
unset HANSA_HOST HANSA_PORT HANSA_DATA_DIR HANSA_STREAM__HOST HANSA_STREAM__PORT

# An interrupted run has told nobody its keys: begin again.
for name in catalog mobility hospital lab developer; do
    mkdir -p "$space/$name"
    find "$space/$name" -mindepth 1 -delete
done

hansa catalog init "$space/catalog" --public-url $catalog --space hansa-compose --authority --allow 127.0.0.0/8 --allow ::1/128
member() { hansa catalog members add "$@" --config "$space/catalog/catalog.toml"; }
own=$(python -c "import json, sys; print(json.load(open(sys.argv[1]))['kid'])" "$space/catalog/key.json")
member did:web:localhost%3A8100 --role catalog --thumbprint "$own" --name "Catalogue"

while read -r name port role title; do
    made=$(hansa connector init "$space/$name" --name "$title" --public-url "http://localhost:$port" --port "$port" \
        --catalog $catalog --authority "$space/catalog/authority.pub.json" --data "$files")
    thumbprint=$(echo "$made" | awk '$1 == "thumbprint" { print $2 }')
    member "did:web:localhost%3A$port" --role "$role" --thumbprint "$thumbprint" --name "$title"
done <<END
mobility 8101 provider Hanse Mobility Operator
hospital 8102 provider Holsten University Hospital
lab 8103 provider Open Statistics Lab
developer 8104 consumer Kogge AI
END

if [ "${TABLES:-all}" != none ]; then
    XDG_CACHE_HOME=$(mktemp -d)
    export XDG_CACHE_HOME
    hansa demo --prepare
    for name in mobility hospital lab; do
        mv "$XDG_CACHE_HOME"/hansa/demo-*/$name "$space/$name/files"
        cp "$XDG_CACHE_HOME"/hansa/demo-*/tables.json "$space/$name/files/"
    done
fi

touch "$space/catalog/.seeded"
[ "$(id -u)" != 0 ] || for name in catalog mobility hospital lab developer; do chown -R 10001:10001 "$space/$name"; done
