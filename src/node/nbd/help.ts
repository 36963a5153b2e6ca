/** What `qemu-nbd --help` prints. */

/** The options of the command line. */
export function nbdHelp(): string {
  return `Usage: qemu-nbd [OPTION]... FILE
Serves a disk image over NBD until its last client has gone.

  -p, --port=PORT            port to listen on (default: 10809)
  -b, --bind=ADDRESS         address to listen on (default: 0.0.0.0)
  -k, --socket=PATH          listen on this Unix socket instead
  -e, --shared=NUMBER        clients at the same time (default: 1; 0: any number)
  -t, --persistent           do not end with the last client
  -x, --export-name=NAME     name of the export (default: none)
  -D, --description=TEXT     what it is, for people
  -r, --read-only            clients may only read
  -o, --offset=BYTES         serve the image from there on
  -A, --allocation-depth     offer the metadata context qemu:allocation-depth
  -B, --bitmap=NAME          offer the dirty bitmap NAME; may be repeated
  -f, --format=FORMAT        format of the image (default: found out)
      --image-opts           FILE is a list of options
  -l, --load-snapshot=NAME   serve an internal snapshot, read-only
  -n, --nocache              same as --cache=none
      --cache=MODE, --aio=MODE, --discard=MODE, --detect-zeroes=MODE
      --handshake-limit=N    seconds for a client to choose an export (default: 10; 0: any)
  -s, --snapshot             keep what is written in a temporary file
  -L, --list                 list what a server exports, instead of serving
      --object=TYPE,id=ID,.. make an object: a secret, credentials, who is let in
      --tls-creds=ID         TLS with these credentials
      --tls-authz=ID         who is let in, by the name in the certificate
      --tls-hostname=NAME    with -L: the name that the server's certificate must have
      --fork                 return when clients can connect
      --pid-file=FILE        write the number of the process there
  -h, --help                 show this help and exit
  -V, --version              show the version and exit
`;
}
