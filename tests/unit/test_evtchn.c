/* SPDX-License-Identifier: MIT */
/* Unit tests: event channels; the FIFO queues against a model, with hostile writes, and from several threads. */
/* sources: lib/bitmap.c ipc/evtchn.c ipc/evtchn_bind.c ipc/evtchn_send.c ipc/evtchn_fifo.c */
/* cflags: -D__XEN_TOOLS__ -Wno-unused-parameter -include ipc_env.h */
#include "test.h"
#include "ipc_fakes.h"

#include <ipc/evtchn_port.h>
#include <ipc/pirq.h>
#include <pthread.h>

extern const struct domain_module evtchn_module;
extern const struct audit_source fifo_audit;

#define VCPUS		4
#define PENDING		(1u << EVTCHN_FIFO_PENDING)
#define MASKED		(1u << EVTCHN_FIFO_MASKED)
#define LINKED		(1u << EVTCHN_FIFO_LINKED)
#define LINK_MASK	((1u << EVTCHN_FIFO_LINK_BITS) - 1)

static u32 kicks[VCPUS];
static u32 bound_pirq;

void vcpu_kick(struct vcpu *v) { atomic_fetch_add(&kicks[v->id], 1); }
void vcpu_clear_pause_flag(struct vcpu *v, u32 flag) { atomic_fetch_and(&v->pause_flags, ~flag); }
int pirq_bind(struct vcpu *v, u32 pirq, u32 port, bool will_share) { bound_pirq = port; return pirq == 13 ? -EBUSY : 0; }
void pirq_unbind(struct domain *d, u32 pirq) { bound_pirq = 0; }
void pirq_set_vcpu(struct domain *d, u32 pirq, struct vcpu *v) { }

static struct domain *new_domain(u16 id, u32 max_port)
{
	return fake_domain_create(id, VCPUS, &evtchn_module, (struct domain_limits){ .evtchn_port = max_port });
}

static void end_domain(struct domain *d)
{
	fake_domain_relinquish(d, &evtchn_module);
	CHECK_EQ(fake_refs(), 0);
	fake_domain_destroy(d, &evtchn_module);
}

static void nothing_left(void)
{
	fake_free_guest_pages();
	CHECK_EQ(fake_blocks, 0);
	CHECK_EQ(fake_pages, 0);
	CHECK_EQ(fake_locks_held, 0);
}

/* --- binding and the 2-level ABI ------------------------------------------------------------------------------------------------ */

static bool pending2l(struct domain *d, u32 port) { return test_bit(port, d->shared_info->evtchn_pending); }

TEST(interdomain)
{
	struct domain *a = new_domain(1, 0), *b = new_domain(2, 0);
	struct evtchn_status st;
	u32 pa, pb, p;

	CHECK_EQ(evtchn_alloc_unbound(a, 2, &pa), 0);
	CHECK_EQ(evtchn_send(a, pa), 0);
	CHECK_EQ(evtchn_bind_interdomain(b, a, pa + 1, &pb), -EINVAL);
	CHECK_EQ(evtchn_bind_interdomain(a, a, pa, &pb), -EINVAL);
	CHECK_EQ(evtchn_bind_interdomain(b, a, pa, &pb), 0);
	CHECK(pending2l(b, pb));
	CHECK_EQ(b->shared_info->vcpu_info[0].evtchn_upcall_pending, 1);
	CHECK_EQ(evtchn_bind_interdomain(b, a, pa, &p), -EINVAL);
	CHECK(!pending2l(a, pa));
	CHECK_EQ(evtchn_bind_vcpu(a, pa, VCPUS), -ENOENT);
	CHECK_EQ(evtchn_bind_vcpu(a, pa, 2), 0);
	CHECK_EQ(evtchn_send(b, pb), 0);
	CHECK(pending2l(a, pa));
	CHECK_EQ(a->shared_info->vcpu_info[2].evtchn_pending_sel, 1ul << pa / 64);
	CHECK_EQ(evtchn_port_is_pending(a, pa), 1);

	st = (struct evtchn_status){ .port = pa };
	CHECK_EQ(evtchn_status(a, &st), 0);
	CHECK_EQ(st.status, EVTCHNSTAT_interdomain);
	CHECK_EQ(st.vcpu, 2);
	CHECK_EQ(st.u.interdomain.dom, 2);
	CHECK_EQ(st.u.interdomain.port, pb);

	CHECK_EQ(evtchn_close(b, pb), 0);
	CHECK_EQ(evtchn_close(b, pb), -EINVAL);
	CHECK_EQ(evtchn_status(a, &st), 0);
	CHECK_EQ(st.status, EVTCHNSTAT_unbound);
	CHECK_EQ(st.u.unbound.dom, 2);
	CHECK_EQ(a->refcount, 1);
	CHECK_EQ(b->refcount, 1);
	CHECK_EQ(evtchn_bind_interdomain(b, a, pa, &pb), 0);

	/* The end of one domain leaves the other's port waiting. */
	end_domain(b);
	CHECK_EQ(evtchn_status(a, &st), 0);
	CHECK_EQ(st.status, EVTCHNSTAT_unbound);
	CHECK_EQ(evtchn_send(a, pa), 0);
	end_domain(a);
	nothing_left();
}

TEST(loopback)
{
	struct domain *a = new_domain(1, 0);
	u32 p, q;

	CHECK_EQ(evtchn_alloc_unbound(a, 1, &p), 0);
	CHECK_EQ(evtchn_bind_interdomain(a, a, p, &q), 0);
	CHECK_EQ(evtchn_send(a, q), 0);
	CHECK(pending2l(a, p));
	CHECK_EQ(a->refcount, 3);
	CHECK_EQ(evtchn_close(a, p), 0);
	CHECK_EQ(a->refcount, 1);
	end_domain(a);
	nothing_left();
}

TEST(virq_ipi_pirq)
{
	struct domain *d = new_domain(1, 0);
	u32 timer, console, ipi, pirq, p;

	hardware_domain = d;
	CHECK_EQ(evtchn_bind_virq(d, NR_VIRQS, 0, &p), -EINVAL);
	CHECK_EQ(evtchn_bind_virq(d, VIRQ_TIMER, VCPUS, &p), -ENOENT);
	CHECK_EQ(evtchn_bind_virq(d, VIRQ_CONSOLE, 1, &p), -EINVAL);
	CHECK_EQ(evtchn_bind_virq(d, VIRQ_TIMER, 3, &timer), 0);
	CHECK_EQ(evtchn_bind_virq(d, VIRQ_TIMER, 3, &p), -EEXIST);
	CHECK_EQ(evtchn_bind_virq(d, VIRQ_CONSOLE, 0, &console), 0);
	CHECK_EQ(evtchn_bind_vcpu(d, timer, 1), -EINVAL);
	CHECK_EQ(evtchn_bind_vcpu(d, console, 1), 0);
	CHECK_EQ(evtchn_send(d, timer), -EINVAL);
	virq_send_vcpu(d->vcpus[0], VIRQ_TIMER);
	CHECK(!pending2l(d, timer));
	virq_send_vcpu(d->vcpus[3], VIRQ_TIMER);
	CHECK(pending2l(d, timer));
	CHECK_EQ(d->shared_info->vcpu_info[3].evtchn_upcall_pending, 1);
	virq_send_global(VIRQ_CONSOLE);
	CHECK_EQ(d->shared_info->vcpu_info[1].evtchn_upcall_pending, 1);
	CHECK_EQ(evtchn_close(d, console), 0);
	CHECK(!pending2l(d, console));
	virq_send_global(VIRQ_CONSOLE);
	CHECK_EQ(evtchn_bind_virq(d, VIRQ_CONSOLE, 0, &console), 0);

	CHECK_EQ(evtchn_bind_ipi(d, 2, &ipi), 0);
	CHECK_EQ(evtchn_bind_vcpu(d, ipi, 1), -EINVAL);
	CHECK_EQ(evtchn_send(d, ipi), 0);
	CHECK_EQ(d->shared_info->vcpu_info[2].evtchn_upcall_pending, 1);

	CHECK_EQ(evtchn_bind_pirq(d, 13, false, &p), -EBUSY);
	CHECK_EQ(evtchn_bind_pirq(d, 14, false, &pirq), 0);
	CHECK_EQ(bound_pirq, pirq);
	evtchn_send_pirq(d, pirq);
	CHECK(pending2l(d, pirq));
	CHECK_EQ(evtchn_close(d, pirq), 0);
	CHECK_EQ(bound_pirq, 0);
	evtchn_send_pirq(d, pirq);
	CHECK(!pending2l(d, pirq));
	end_domain(d);
	nothing_left();
}

TEST(mask_and_poll)
{
	struct domain *d = new_domain(1, 0);
	u32 p;

	CHECK_EQ(evtchn_bind_ipi(d, 1, &p), 0);
	set_bit(p, d->shared_info->evtchn_mask);
	CHECK_EQ(evtchn_send(d, p), 0);
	CHECK_EQ(kicks[1], 0);
	CHECK_EQ(evtchn_unmask(d, p), 0);
	CHECK_EQ(kicks[1], 1);
	CHECK_EQ(evtchn_unmask(d, p), 0);
	CHECK_EQ(kicks[1], 1);

	/* A poller is told of a masked event, another port's does not wake it. */
	clear_bit(p, d->shared_info->evtchn_pending);
	set_bit(p, d->shared_info->evtchn_mask);
	evtchn_poll_port(d->vcpus[3], p + 1);
	d->vcpus[3]->pause_flags = VPF_POLL;
	d->pollers = 1;
	evtchn_send(d, p);
	CHECK_EQ(d->vcpus[3]->pause_flags, VPF_POLL);
	clear_bit(p, d->shared_info->evtchn_pending);
	evtchn_poll_port(d->vcpus[3], p);
	evtchn_send(d, p);
	CHECK_EQ(d->vcpus[3]->pause_flags, 0);

	/* Who has been woken by something else may set up its next poll when an event for the last one comes: it is told of the next. */
	evtchn_poll_port(d->vcpus[3], p);
	clear_bit(p, d->shared_info->evtchn_pending);
	evtchn_send(d, p);
	clear_bit(p, d->shared_info->evtchn_pending);
	d->vcpus[3]->pause_flags = VPF_POLL;
	evtchn_send(d, p);
	CHECK_EQ(d->vcpus[3]->pause_flags, 0);
	d->pollers = 0;
	end_domain(d);
	nothing_left();
}

TEST(limits_and_reuse)
{
	struct domain *d = new_domain(1, 1000), *wide = new_domain(2, 0);
	u32 p, n = 0;

	while (evtchn_alloc_unbound(d, 0, &p) == 0)
		CHECK_EQ(p, ++n);
	CHECK_EQ(n, 1000);
	CHECK_EQ(evtchn_close(d, 77), 0);
	CHECK_EQ(evtchn_alloc_unbound(d, 0, &p), 0);
	CHECK_EQ(p, 77);
	for (n = 0; evtchn_alloc_unbound(wide, 0, &p) == 0;)
		n++;
	CHECK_EQ(n, EVTCHN_2L_NR_CHANNELS - 1);
	end_domain(d);
	end_domain(wide);
	nothing_left();
}

/* --- FIFO ----------------------------------------------------------------------------------------------------------------------- */

static event_word_t *words[FIFO_MAX_PAGES];
static struct evtchn_fifo_control_block *control[VCPUS];
static u32 guest_head[VCPUS][EVTCHN_FIFO_MAX_QUEUES];

static event_word_t *word(u32 port) { return &words[port / FIFO_WORDS_PER_PAGE][port % FIFO_WORDS_PER_PAGE]; }

static void fifo_expand(struct domain *d, unsigned page)
{
	words[page] = fake_guest_page(d);
	CHECK_EQ(evtchn_fifo_expand_array(d, virt_to_mfn(words[page]).v), 0);
}

static void fifo_start(struct domain *d, unsigned pages)
{
	CHECK_EQ(evtchn_fifo_expand_array(d, 1), -EINVAL);
	for (unsigned i = 0; i < VCPUS; i++) {
		u8 *page = fake_guest_page(d);
		u32 offset = 8 * (u32)test_below(500);

		CHECK_EQ(evtchn_fifo_init_control(d, i, virt_to_mfn(page).v, 4092), -EINVAL);
		CHECK_EQ(evtchn_fifo_init_control(d, i, virt_to_mfn(page).v, 4), -EINVAL);
		CHECK_EQ(evtchn_fifo_init_control(d, VCPUS, virt_to_mfn(page).v, 0), -ENOENT);
		CHECK_EQ(evtchn_fifo_init_control(d, i, virt_to_mfn(page).v, offset), 0);
		CHECK_EQ(evtchn_fifo_init_control(d, i, virt_to_mfn(page).v, offset), -EINVAL);
		control[i] = (void *)(page + offset);
	}
	for (unsigned i = 0; i < pages; i++)
		fifo_expand(d, i);
	memset(guest_head, 0, sizeof(guest_head));
}

/* The guest takes the first event off a queue as the ABI says. 0: there is none. */
static u32 guest_take(unsigned vcpu, unsigned prio)
{
	u32 *head = &guest_head[vcpu][prio], port;
	event_word_t w;

	if (!*head)
		*head = READ_ONCE(control[vcpu]->head[prio]);
	port = *head;
	if (!port)
		return 0;
	w = READ_ONCE(*word(port));
	while (!atomic_try_cmpxchg(word(port), &w, w & ~(LINKED | LINK_MASK)))
		;
	*head = w & LINK_MASK;
	if (!*head)
		atomic_fetch_and(&control[vcpu]->ready, ~(1u << prio));
	return port;
}

/* The model: which ports stand in which queue, in order. */
#define PORTS	40
struct model_port { bool pending, masked, linked; u8 vcpu, prio; };
static struct model_port model[PORTS + 1];
static u32 queue[VCPUS][EVTCHN_FIFO_MAX_QUEUES][PORTS + 1], queue_len[VCPUS][EVTCHN_FIFO_MAX_QUEUES];

static void model_link(u32 p)
{
	struct model_port *m = &model[p];

	if (m->pending && !m->masked && !m->linked) {
		m->linked = true;
		queue[m->vcpu][m->prio][queue_len[m->vcpu][m->prio]++] = p;
	}
}

/* The guest's upcall as Linux has it: take the ready bits, then queue by queue. Here one event of the queue. */
static void guest_step(unsigned vcpu, unsigned prio)
{
	u32 *q = queue[vcpu][prio], *len = &queue_len[vcpu][prio], p;

	if (!*len) {
		CHECK(!(control[vcpu]->ready & 1u << prio));
		return;
	}
	CHECK(control[vcpu]->ready & 1u << prio);
	p = guest_take(vcpu, prio);
	CHECK_EQ(p, q[0]);
	memmove(q, q + 1, --*len * sizeof(*q));
	/* The ABI has the guest look at the head again when the ready bit was set meanwhile: here nothing runs in between. */
	model[p].linked = false;
	if (!model[p].masked) {
		atomic_fetch_and(word(p), ~PENDING);
		model[p].pending = false;
	}
}

static void check_words(void)
{
	for (u32 p = 1; p <= PORTS; p++) {
		CHECK_EQ(!!(*word(p) & PENDING), model[p].pending);
		CHECK_EQ(!!(*word(p) & MASKED), model[p].masked);
		CHECK_EQ(!!(*word(p) & LINKED), model[p].linked);
	}
}

TEST(fifo_against_model)
{
	struct domain *d = new_domain(1, 0);
	u32 p;

	fifo_start(d, 1);
	for (u32 i = 1; i <= PORTS; i++) {
		CHECK_EQ(evtchn_alloc_unbound(d, 1, &p), 0);
		CHECK_EQ(p, i);
		model[p].prio = EVTCHN_FIFO_PRIORITY_DEFAULT;
	}
	for (int step = 0; step < 200000; step++) {
		struct model_port *m;
		struct evtchn *chn;

		p = 1 + (u32)test_below(PORTS);
		m = &model[p];
		chn = evtchn_of(d, p);
		switch (test_below(10)) {
		case 0: case 1: case 2:
			evtchn_deliver(d, chn);
			m->pending = true;
			model_link(p);
			break;
		case 3:
			atomic_fetch_or(word(p), MASKED);
			m->masked = true;
			break;
		case 4:
			CHECK_EQ(evtchn_unmask(d, p), 0);
			m->masked = false;
			model_link(p);
			break;
		case 5:
			m->vcpu = (u8)test_below(VCPUS);
			CHECK_EQ(evtchn_bind_vcpu(d, p, m->vcpu), 0);
			break;
		case 6:
			m->prio = (u8)test_below(3) * 7;
			CHECK_EQ(evtchn_set_priority(d, p, m->prio), 0);
			break;
		default:
			guest_step((unsigned)test_below(VCPUS), (unsigned)test_below(3) * 7);
		}
		if (step % 100 == 0)
			check_words();
	}
	CHECK_EQ(evtchn_set_priority(d, 1, 16), -EINVAL);
	end_domain(d);
	nothing_left();
}

TEST(fifo_setup)
{
	struct domain *d = new_domain(1, 0);
	u32 p, high, n;

	CHECK_EQ(evtchn_set_priority(d, 1, 0), -EINVAL);
	CHECK_EQ(evtchn_bind_ipi(d, 1, &p), 0);
	CHECK_EQ(evtchn_set_priority(d, p, 0), -ENOSYS);
	CHECK_EQ(evtchn_fifo_expand_array(d, virt_to_mfn(fake_guest_page(d)).v), -EOPNOTSUPP);
	CHECK_EQ(evtchn_send(d, p), 0);
	/* What was pending is there as soon as the array is; and so is what came for ports beyond it. */
	fifo_start(d, 0);
	CHECK_EQ(evtchn_port_is_pending(d, p), 1);
	fifo_expand(d, 0);
	CHECK_EQ(*word(p) & (PENDING | LINKED), PENDING | LINKED);
	CHECK_EQ(guest_take(1, 7), p);
	do
		CHECK_EQ(evtchn_bind_ipi(d, 2, &high), 0);
	while (high < 1500);
	CHECK_EQ(evtchn_send(d, high), 0);
	CHECK_EQ(control[2]->ready, 0);
	fifo_expand(d, 1);
	CHECK_EQ(control[2]->ready, 1u << 7);
	CHECK_EQ(control[2]->head[7], high);
	/* A closed port that is still linked is not handed out again. */
	CHECK_EQ(evtchn_close(d, high), 0);
	CHECK_EQ(*word(high) & (PENDING | LINKED), LINKED);
	for (n = 0; n < 3000; n++) {
		CHECK_EQ(evtchn_bind_ipi(d, 0, &p), 0);
		CHECK(p != high);
	}
	CHECK_EQ(guest_take(2, 7), high);
	CHECK_EQ(fake_refs(), VCPUS + 2);
	CHECK_EQ(fake_audit(&fifo_audit), fake_refs());

	/* Back to 2-level, in steps. */
	int rc = evtchn_reset(d, true);

	while (rc == -ERESTART)
		rc = evtchn_reset(d, false);
	CHECK_EQ(rc, 0);
	CHECK_EQ(fake_refs(), 0);
	for (n = 0; evtchn_bind_ipi(d, 0, &p) == 0; n++)
		CHECK(p < EVTCHN_2L_NR_CHANNELS);
	CHECK_EQ(n, EVTCHN_2L_NR_CHANNELS - 1);
	CHECK_EQ(evtchn_send(d, 100), 0);
	CHECK(pending2l(d, 100));
	fifo_start(d, 5);
	for (; evtchn_bind_ipi(d, 0, &p) == 0; n++)
		;
	CHECK_EQ(n, EVTCHN_FIFO_NR_CHANNELS - 1);
	CHECK_EQ(evtchn_send(d, EVTCHN_FIFO_NR_CHANNELS - 1), 0);
	CHECK_EQ(evtchn_send(d, EVTCHN_FIFO_NR_CHANNELS), -EINVAL);
	for (unsigned i = 5; i < FIFO_MAX_PAGES; i++)
		fifo_expand(d, i);
	CHECK_EQ(evtchn_fifo_expand_array(d, virt_to_mfn(fake_guest_page(d)).v), -ENOSPC);
	CHECK(*word(EVTCHN_FIFO_NR_CHANNELS - 1) & LINKED);
	end_domain(d);
	nothing_left();
}

TEST(fifo_no_control_block)
{
	struct domain *d = new_domain(1, 0);
	u8 *page = fake_guest_page(d);
	u32 p;

	CHECK_EQ(evtchn_bind_ipi(d, 3, &p), 0);
	CHECK_EQ(evtchn_fifo_init_control(d, 0, virt_to_mfn(page).v, 0), 0);
	fifo_expand(d, 0);
	CHECK_EQ(evtchn_send(d, p), 0);
	CHECK_EQ(*word(p), PENDING);
	fake_frame_of(virt_to_mfn(page))->is_table = true;
	CHECK_EQ(evtchn_fifo_init_control(d, 1, virt_to_mfn(page).v, 0), -EBUSY);
	CHECK_EQ(evtchn_fifo_init_control(d, 1, 0x12345, 0), -EINVAL);
	end_domain(d);
	nothing_left();
}

/* --- several CPUs ------------------------------------------------------------------------------------------------------------------ */

static struct domain *shared_domain;
static u64 sent[2 * PORTS + 1], seen[2 * PORTS + 1];
static bool stop_guests;
static u32 senders;

static u64 thread_random(u64 *s) { return *s = *s * 6364136223846793005ul + 1442695040888963407ul, *s >> 33; }

static void *sender(void *arg)
{
	u64 seed = (u64)arg;

	for (int i = 0; i < 60000; i++) {
		u32 p = 1 + (u32)(thread_random(&seed) % PORTS);

		switch (thread_random(&seed) % 16) {
		case 0:
			(void)!evtchn_bind_vcpu(shared_domain, p, (u32)(thread_random(&seed) % VCPUS));
			break;
		case 1:
			(void)!evtchn_set_priority(shared_domain, p, (u32)(thread_random(&seed) % 3) * 7);
			break;
		default:
			atomic_fetch_add(&sent[p], 1);
			/* As the peer of p would: with a lock of its own. */
			evtchn_send(shared_domain, p + PORTS);
		}
	}
	atomic_sub_fetch(&senders, 1);
	return NULL;
}

/* One vCPU's upcall handler, as Linux has it. */
static bool handle_events(unsigned vcpu)
{
	u32 ready = atomic_xchg(&control[vcpu]->ready, 0);
	bool any = ready;

	while (ready) {
		unsigned prio = (unsigned)__builtin_ctz(ready);
		u32 *head = &guest_head[vcpu][prio], port;
		event_word_t w;

		if (!*head) {
			smp_rmb();
			*head = READ_ONCE(control[vcpu]->head[prio]);
		}
		port = *head;
		w = READ_ONCE(*word(port));
		while (!atomic_try_cmpxchg(word(port), &w, w & ~(LINKED | LINK_MASK)))
			;
		*head = w & LINK_MASK;
		if (!*head)
			ready &= ~(1u << prio);
		if (READ_ONCE(*word(port)) & PENDING) {
			atomic_fetch_and(word(port), ~PENDING);
			atomic_store(&seen[port], atomic_load(&sent[port]));
		}
		ready |= atomic_xchg(&control[vcpu]->ready, 0);
	}
	return any;
}

static void *guest_vcpu(void *arg)
{
	while (!atomic_load(&stop_guests))
		if (!handle_events((unsigned)(u64)arg))
			sched_yield();
	return NULL;
}

static void *scribbler(void *arg)
{
	u64 seed = 99;

	while (!atomic_load(&stop_guests)) {
		u32 r = (u32)thread_random(&seed);

		if (r & 1)
			WRITE_ONCE(*word(1 + r / 2 % (2 * PORTS)), (u32)thread_random(&seed) << 1);
		else if (r & 2)
			WRITE_ONCE(control[r / 4 % VCPUS]->head[r / 16 % 16], r);
		else
			WRITE_ONCE(control[r / 4 % VCPUS]->ready, r);
	}
	return NULL;
}

/* Ports 1..PORTS, each with a peer port + PORTS that sends to it. */
static void connect_pairs(struct domain *d)
{
	u32 p, q;

	for (u32 i = 1; i <= PORTS; i++) {
		CHECK_EQ(evtchn_alloc_unbound(d, d->id, &p), 0);
		CHECK_EQ(p, i);
	}
	for (u32 i = 1; i <= PORTS; i++) {
		CHECK_EQ(evtchn_bind_interdomain(d, d, i, &q), 0);
		CHECK_EQ(q, i + PORTS);
	}
}

static void run_threads(void *(*guest)(void *), unsigned nr_guests)
{
	pthread_t guests[VCPUS], threads[4];

	senders = 4;
	for (u64 i = 0; i < nr_guests; i++)
		pthread_create(&guests[i], NULL, guest, (void *)i);
	for (u64 i = 0; i < 4; i++)
		pthread_create(&threads[i], NULL, sender, (void *)(i + 1));
	for (unsigned i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	atomic_store(&stop_guests, true);
	for (unsigned i = 0; i < nr_guests; i++)
		pthread_join(guests[i], NULL);
}

TEST(fifo_no_event_lost)
{
	shared_domain = new_domain(1, 0);
	fifo_start(shared_domain, 1);
	connect_pairs(shared_domain);
	run_threads(guest_vcpu, VCPUS);
	for (bool any = true; any;) {
		any = false;
		for (unsigned i = 0; i < VCPUS; i++)
			any |= handle_events(i);
	}
	for (u32 p = 1; p <= PORTS; p++) {
		CHECK_EQ(seen[p], sent[p]);
		CHECK_EQ(*word(p) & (PENDING | LINKED), 0);
	}
	end_domain(shared_domain);
	nothing_left();
}

TEST(fifo_hostile)
{
	shared_domain = new_domain(1, 0);
	fifo_start(shared_domain, 1);
	connect_pairs(shared_domain);
	run_threads(scribbler, 1);
	end_domain(shared_domain);
	nothing_left();
}

/* Both ends of the same connections bound, used and closed at once. */
static struct domain *ends[2];

static void *open_and_close(void *arg)
{
	u64 seed = (u64)arg;
	struct domain *d = ends[seed & 1], *other = ends[~seed & 1];

	for (int i = 0; i < 40000; i++) {
		u32 p = 1 + (u32)(thread_random(&seed) % 20), q;

		switch (thread_random(&seed) % 5) {
		case 0:
			(void)!evtchn_alloc_unbound(d, other->id, &q);
			break;
		case 1:
			(void)!evtchn_bind_interdomain(d, other, p, &q);
			break;
		case 2:
			(void)!evtchn_close(d, p);
			break;
		default:
			evtchn_send(d, p);
		}
	}
	return NULL;
}

TEST(connections_race)
{
	pthread_t t[4];

	ends[0] = new_domain(1, 20);
	ends[1] = new_domain(2, 20);
	for (u64 i = 0; i < 4; i++)
		pthread_create(&t[i], NULL, open_and_close, (void *)i);
	for (unsigned i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
	fake_domain_relinquish(ends[0], &evtchn_module);
	fake_domain_relinquish(ends[1], &evtchn_module);
	fake_domain_destroy(ends[0], &evtchn_module);
	fake_domain_destroy(ends[1], &evtchn_module);
	nothing_left();
}
