# SPDX-License-Identifier: MIT
# Whole programs of Debian's in Domain 0, all files in memory; each is measured by ops --run, after a small run that brings it into memory.
set -e
root=/mnt
mount -t ext4 /dev/disk/programs $root
for dir in proc sys dev; do mount -o rbind /$dir $root/$dir; done
mount -t tmpfs tmpfs $root/tmp
cp /files/ops /files/source.tar $root/tmp
chmod +x $root/tmp/ops
cat >$root/tmp/bench.sh <<'END'
set -e
cd /tmp
tar -xf source.tar

# 64 MiB of text and object code.
while [ "$(stat -c %s data 2>/dev/null || echo 0)" -lt 67108864 ]; do
	tar -cf - hypervisor >>data
	head -c 1000000 /usr/bin/x86_64-linux-gnu-gcc-12 >>data
done
truncate -s 67108864 data

gzip <source.tar >/dev/null
./ops --run gzip sh -c 'gzip <data >compressed'

cat >compile <<'COMPILE'
for file do
	gcc -std=gnu17 -ffreestanding -O0 -w -fPIE -include hypervisor/lib/hidden.h -mno-red-zone -mno-sse -mno-mmx -mno-80387 -msoft-float \
		-fno-stack-protector -fno-strict-aliasing -fcf-protection=none -nostdinc -isystem "$include" -isystem build/abi -Ihypervisor \
		-D__XEN_TOOLS__ -Ibuild -c "$file" -o object.o || exit 1
done
COMPILE
export include=$(gcc -print-file-name=include)
sh compile hypervisor/lib/*.c
./ops --run compile sh compile hypervisor/core/*.c hypervisor/domain/*.c hypervisor/sched/*.c hypervisor/ipc/*.c hypervisor/pv/*.c hypervisor/hypercall/*.c

tar -cf /dev/null hypervisor
./ops --run tar sh -c 'for i in 1 2 3 4 5 6 7 8 9 10; do tar -cf archive hypervisor; rm archive; done'

cat >queries <<'SQL'
create table t (id integer primary key, name text, value integer);
create index i on t (value);
begin;
with recursive n (x) as (select 1 union all select x + 1 from n where x < 50000)
	insert into t select x, 'name ' || x, x * 7919 % 10007 from n;
commit;
select count(*), sum(value) from t where value between 1000 and 3000;
select value, count(*) from t group by value order by 2 desc, 1 limit 5;
SQL
for i in $(seq 1000); do echo "insert into t (name, value) values ('single $i', $i); select name from t where value = $i;"; done >>queries
sqlite3 warm 'create table t (x); select * from t;'
./ops --run sqlite sh -c 'sqlite3 database <queries >answers'

# The receiver writes to memory; the sender ends when all was sent, and then the receiver does.
receive() {
	nc -l 127.0.0.1 5000 >received &
	until grep -q ':1388 00000000:0000 0A' /proc/net/tcp; do sleep 0.1; done
}
send='nc -N 127.0.0.1 5000'
receive; $send <source.tar; wait
receive; ./ops --run tcp sh -c "$send <data"; wait
cmp data received
END
chroot $root /bin/sh /tmp/bench.sh
