/*
 * certificates.h: certificates for a test, made by the openssl command in the test's directory.
 */
#ifndef IPALLOC_TEST_ETCD_CERTIFICATES_H
#define IPALLOC_TEST_ETCD_CERTIFICATES_H

/* Make, in `directory`:
 *   ca.pem        an authority
 *   other.pem     another one
 *   server.pem    for 127.0.0.1, localhost, server and client use; key server.key
 *   elsewhere.pem for the name elsewhere.example; key elsewhere.key
 *   old.pem       for 127.0.0.1, expired; key old.key
 *   client.pem    a client named "alice"; key client.key
 *   stranger.pem  a client of the other authority; key stranger.key
 *   locked.key    client.key, encrypted
 * Fails the test where that does not work. */
void certificates_make(const char *directory);

/* "DIRECTORY/NAME"; static buffers, eight deep. */
const char *certificate_file(const char *directory, const char *name);

#endif
