/*
 * certificates.c: see certificates.h.
 */
#include "certificates.h"

#include "support.h"

#include <stdio.h>
#include <stdlib.h>

static const char SCRIPT[] =
    "set -e; cd '%s'; exec >openssl.txt 2>&1\n"
    "authority() { openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes \\\n"
    "    -keyout $1.key -out $1.pem -days 2 -subj /CN=$2 \\\n"
    "    -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign; }\n"
    "signed() { # NAME COMMON-NAME ALT-NAMES AUTHORITY DAYS...\n"
    "    name=$1 common=$2 alt=$3 ca=$4; shift 4\n"
    "    openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout $name.key \\\n"
    "        -out $name.csr -subj /CN=$common\n"
    "    printf 'subjectAltName=%%s\\nextendedKeyUsage=serverAuth,clientAuth\\n' $alt >$name.ext\n"
    "    openssl x509 -req -in $name.csr -CA $ca.pem -CAkey $ca.key -CAcreateserial \\\n"
    "        -out $name.pem -extfile $name.ext \"$@\"; }\n"
    "authority ca trusted; authority other untrusted\n"
    "signed server server IP:127.0.0.1,DNS:localhost ca -days 2\n"
    "signed elsewhere elsewhere DNS:elsewhere.example ca -days 2\n"
    "signed client alice DNS:alice ca -days 2\n"
    "signed stranger mallory DNS:mallory other -days 2\n"
    "signed old old IP:127.0.0.1 ca -days -1\n"
    "openssl ec -in client.key -aes128 -passout pass:secret -out locked.key\n";

void certificates_make(const char *directory) {
    char script[4096];
    int length = snprintf(script, sizeof script, SCRIPT, directory);
    ck_assert_int_lt(length, (int)sizeof script);
    ck_assert_msg(system(script) == 0, "the certificates could not be made: %s/openssl.txt",
                  directory);
}

const char *certificate_file(const char *directory, const char *name) {
    static char buffers[8][512];
    static unsigned next;
    char *buffer = buffers[next++ % 8];
    snprintf(buffer, sizeof buffers[0], "%s/%s", directory, name);
    return buffer;
}
