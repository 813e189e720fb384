/* Our choices over dropbear's src/default_options.h, which explains each name. */

/* Host and user keys: Ed25519 and RSA. */
#define DROPBEAR_ECDSA 0
#define DROPBEAR_ECDH 0

/* Of the two post-quantum exchanges the one that is 25 kB smaller and older in OpenSSH. */
#define DROPBEAR_MLKEM768 0

/* The box hands on no authentication agent, has no sftp server, and is not started by inetd. */
#define DROPBEAR_SVR_AGENTFWD 0
#define DROPBEAR_CLI_AGENTFWD 0
#define DROPBEAR_SFTPSERVER 0
#define INETD_MODE 0

/* Whoever guesses gets less room: 16 MB boxes, slow CPUs. */
#define MAX_UNAUTH_PER_IP 3
#define MAX_UNAUTH_CLIENTS 8
#define MAX_AUTH_TRIES 5

#define DROPBEAR_PIDFILE "/run/dropbear.pid"
