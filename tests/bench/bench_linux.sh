# SPDX-License-Identifier: MIT
# Debian's kernel, as it is shipped and unpacked, without devices and with a disk and a network card: create, from create to the
# guest's first process, destroy.
make_bridge
dd if=/dev/zero of=/tmp/disk.img bs=1M count=64 2>/dev/null
warm /files/vmlinux /boot/vmlinuz /boot/guest.gz

measure() {
	timed create linux
	result create_$1 $elapsed ms
	wait_text linux first-process
	stop
	result create_to_first_process_$1 $elapsed ms
	timed destroy linux
	result destroy_$1 $elapsed ms
}

for form in vmlinuz vmlinux; do
	case $form in vmlinuz) kernel=/boot/vmlinuz ;; vmlinux) kernel=/files/vmlinux ;; esac
	for devices in alone devices; do
		set -- 'ramdisk = "/boot/guest.gz"'
		[ $devices = alone ] || set -- "$@" 'disk = [ "/tmp/disk.img,raw,xvda,rw" ]' 'vif = [ "bridge=bench0" ]'
		define linux $kernel 128 'console=hvc0 quiet MARK=first-process NODHCP=1' "$@"
		for use in 1 2; do
			measure ${form}_${devices}_use_$use
		done
	done
done
