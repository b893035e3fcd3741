// SPDX-License-Identifier: GPL-2.0
/*
 * VFIO files without a device and an IOMMU: groups that can be opened, of devices that
 * do nothing.  That is all of VFIO that KVM's VFIO device looks at.
 */
#include <linux/device/faux.h>
#include <linux/err.h>
#include <linux/module.h>
#include <linux/vfio.h>

#include "../include/x86/vfio_file.h"

struct vfio_file {
	struct vfio_device vfio;
	struct faux_device *faux;
};

static struct vfio_file *files[VFIO_FILE_NR];

/* VFIO insists on these where it has iommufd. */
static const struct vfio_device_ops vfio_file_ops = {
	.name = VFIO_FILE_DEVICE,
	.bind_iommufd = vfio_iommufd_emulated_bind,
	.unbind_iommufd = vfio_iommufd_emulated_unbind,
	.attach_ioas = vfio_iommufd_emulated_attach_ioas,
	.detach_ioas = vfio_iommufd_emulated_detach_ioas,
};

static struct vfio_file *vfio_file_new(const char *name)
{
	struct faux_device *faux = faux_device_create(name, NULL, NULL);
	struct vfio_file *file;
	int r;

	if (!faux)
		return ERR_PTR(-ENODEV);

	file = vfio_alloc_device(vfio_file, vfio, &faux->dev, &vfio_file_ops);
	if (IS_ERR(file)) {
		r = PTR_ERR(file);
		goto destroy;
	}
	file->faux = faux;
	r = vfio_register_emulated_iommu_dev(&file->vfio);
	if (!r)
		return file;

	vfio_put_device(&file->vfio);
destroy:
	faux_device_destroy(faux);
	return ERR_PTR(r);
}

/* Groups that are open stay, without a device. */
static void vfio_file_free(struct vfio_file *file)
{
	struct faux_device *faux = file->faux;

	vfio_unregister_group_dev(&file->vfio);
	vfio_put_device(&file->vfio);
	faux_device_destroy(faux);
}

static void vfio_file_free_all(void)
{
	int i;

	for (i = 0; i < VFIO_FILE_NR; i++) {
		if (files[i])
			vfio_file_free(files[i]);
	}
}

static int __init vfio_file_init(void)
{
	static const char * const names[VFIO_FILE_NR] = {
		VFIO_FILE_DEVICE "0",
		VFIO_FILE_DEVICE "1",
	};
	struct vfio_file *file;
	int i;

	for (i = 0; i < VFIO_FILE_NR; i++) {
		file = vfio_file_new(names[i]);
		if (IS_ERR(file)) {
			vfio_file_free_all();
			return PTR_ERR(file);
		}
		files[i] = file;
	}
	return 0;
}

static void __exit vfio_file_exit(void)
{
	vfio_file_free_all();
}

module_init(vfio_file_init);
module_exit(vfio_file_exit);
MODULE_LICENSE("GPL");
MODULE_AUTHOR("The kvm_irqroute authors");
MODULE_DESCRIPTION("VFIO files, for tests of KVM");
