/** What `qemu-io --help` prints. */

/** The options of the command line. */
export function usage(): string {
  return `Usage: qemu-io [OPTION]... [-c COMMAND]... [FILE]
Reads and writes an image, command by command.

  -c, --cmd COMMAND     run this command; without any they are read from the input
  -f, --format FMT      format of the image (default: looked at)
      --image-opts      FILE is a list of options, key=value,...
  -r, --read-only       open it read-only
  -U, --force-share     open it even if another process writes to it
  -t, --cache MODE      how to cache (default: writethrough)
  -n, --nocache         the same as -t none
  -d, --discard MODE    what to do with discards: ignore or unmap (default)
  -s, --snapshot        write to a temporary image above it
  -C, --copy-on-read    keep what is read from backing files
  -i, --aio MODE        threads, native or io_uring; changes nothing here
  -k, --native-aio      the same as -i native
  -m, --misalign        changes nothing here
      --object OBJECT   define an object
  -h, --help            show this help and exit
  -V, --version         show the version and exit

qemu-io -c help lists the commands.
`;
}
