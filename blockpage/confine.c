/* SPDX-License-Identifier: BSD-3-Clause */
#include "blockpage/confine.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

/* Of processors with one system call for each thing to be done with sockets, least octet first. */
#if defined __x86_64__
#define ARCHITECTURE AUDIT_ARCH_X86_64
#elif defined __aarch64__ && defined __AARCH64EL__
#define ARCHITECTURE AUDIT_ARCH_AARCH64
#elif defined __riscv && __riscv_xlen == 64
#define ARCHITECTURE AUDIT_ARCH_RISCV64
#else
#define ARCHITECTURE 0
#endif

#define FOREIGN 0x40000000U /*!< Numbers from here on are those of another interface (x32). */

#define LOAD(field)                                                                                \
	BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (unsigned)offsetof(struct seccomp_data, field))
#define ALLOW BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)
#define REFUSE BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM)
/* Each is followed by what is done if the comparison holds, and goes on behind that if not. */
#define IF_IS(value) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (value), 0, 1)
#define IF_IS_NOT(value) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (value), 1, 0)
#define IF_HAS(bits) BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, (bits), 0, 1)
/* What is done if the comparison holds is the four statements of SEND. */
#define IF_SENT_BY(call) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (call), 0, 4)
#define IF_FROM(value) BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, (value), 0, 1)
#define SEND(flags) LOAD(flags), IF_HAS(MSG_FASTOPEN), REFUSE, ALLOW

static struct sock_filter filter[] = {
	LOAD(arch),
	IF_IS_NOT(ARCHITECTURE),
	REFUSE,
	LOAD(nr),
	IF_FROM(FOREIGN),
	REFUSE,
	IF_IS(SYS_connect),
	REFUSE,
	IF_IS(SYS_execve),
	REFUSE,
	IF_IS(SYS_execveat),
	REFUSE,
	/* It can make sockets and connect them past this filter. */
	IF_IS(SYS_io_uring_setup),
	REFUSE,
	/* A socket that listened connects also by sending. The flags are int: the low half. */
	IF_IS(SYS_sendmmsg),
	REFUSE,
	IF_SENT_BY(SYS_sendto),
	SEND(args[3]),
	IF_SENT_BY(SYS_sendmsg),
	SEND(args[2]),
	IF_IS_NOT(SYS_socket),
	ALLOW,
	LOAD(args[0]),
	IF_IS(AF_UNIX),
	ALLOW,
	REFUSE,
};

int icp_confine(icp_diag_t *diag)
{
	struct sock_fprog program = {
		.len = sizeof filter / sizeof *filter,
		.filter = filter,
	};
	if (ARCHITECTURE == 0) {
		return icp_fail(diag, ICP_ESYS, "not known how on this processor");
	}
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
		prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) {
		return icp_fail(diag, ICP_ESYS, "seccomp: %s", strerror(errno));
	}
	return ICP_EOK;
}
