/** What `qemu-storage-daemon --help` prints. */

/** The options of the command line. */
export function daemonHelp(): string {
  return `Usage: qemu-storage-daemon [OPTION]...
Opens disk images and takes QMP commands for them. Options are acted on in their order.

  --blockdev [driver=]DRIVER,node-name=NAME[,OPTION=VALUE]...
                         open an image, as the command blockdev-add does
  --chardev stdio,id=ID  standard input and output
  --chardev socket,id=ID,path=PATH[,server=on[,wait=off]]
  --chardev socket,id=ID,host=HOST,port=PORT[,server=on[,wait=off]]
  --chardev socket,id=ID,fd=NUMBER[,server=on[,wait=off]]
                         a socket, by default connected to as a client
  --chardev file,id=ID,path=PATH
  --chardev null,id=ID   a file to write to; nothing
  --monitor [chardev=]ID[,pretty=on]
                         take QMP commands from this character device
  --object [qom-type=]TYPE,id=ID[,PROPERTY=VALUE]...
                         make an object, as the command object-add does
  --export [type=]TYPE,id=ID,node-name=NAME[,OPTION=VALUE]...
                         export a node, as the command block-export-add does
  --nbd-server addr.type=unix,addr.path=PATH[,max-connections=N]
  --nbd-server addr.type=inet,addr.host=HOST,addr.port=PORT[,max-connections=N]
  --nbd-server addr.type=fd,addr.str=NUMBER[,max-connections=N]
                         serve NBD exports, as the command nbd-server-start does
                         with TLS: ,tls-creds=ID[,tls-authz=ID], ids of objects
  --daemonize            go on in the background when all is done
  --trace PATTERN        switch on trace events; there are none
  --pidfile FILE         write the number of the process there when all is done
  -h, --help             show this help and exit
  -V, --version          show the version and exit

Values of --blockdev, --monitor, --nbd-server, --object and --export may be JSON objects.
`;
}
