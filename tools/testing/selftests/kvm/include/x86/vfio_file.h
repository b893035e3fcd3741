/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The devices of test_modules/vfio_file.c.  Each has a VFIO group of its own, and opening
 * that makes a VFIO file.
 */
#ifndef SELFTEST_KVM_VFIO_FILE_H
#define SELFTEST_KVM_VFIO_FILE_H

/* Their names are this and their number. */
#define VFIO_FILE_DEVICE	"kvm_vfio_file"
#define VFIO_FILE_NR		2

#endif /* SELFTEST_KVM_VFIO_FILE_H */
