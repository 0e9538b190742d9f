/* SPDX-License-Identifier: MIT */
/* A hostile network frontend, against the stock kernel's backend: <xen/io/netif.h>. */
#include "tiny/frontend.h"
#include "tiny/tiny.h"

#define xen_mb() barrier()
#define xen_wmb() barrier()
#include <xen/io/netif.h>

#define REF	40		/* the two rings, and a packet */
#define SLOTS	256

static char tx_page[PAGE_SIZE] __attribute__((aligned(4096)));
static char rx_page[PAGE_SIZE] __attribute__((aligned(4096)));
static char packet[PAGE_SIZE] __attribute__((aligned(4096)));
static struct netif_tx_sring *const tx = (void *)tx_page;
static struct netif_rx_sring *const rx = (void *)rx_page;
static struct frontend vif = { .path = "device/vif/0" };

static void connect(void)
{
	SHARED_RING_INIT(tx);
	SHARED_RING_INIT(rx);
	memset(packet, 0xff, 6);
	grant(REF, tx_page);
	grant(REF + 1, rx_page);
	grant(REF + 2, packet);
	frontend_number(&vif, "tx-ring-ref", REF);
	frontend_number(&vif, "rx-ring-ref", REF + 1);
	frontend_event(&vif);
	frontend_number(&vif, "request-rx-copy", 1);
	frontend_number(&vif, "feature-rx-notify", 1);
	frontend_state(&vif, XenbusStateConnected);
	frontend_await(&vif, XenbusStateConnected);
	for (u32 i = 0; i < SLOTS; i++)
		rx->ring[i].req = (struct netif_rx_request){ .id = (u16)i, .gref = REF + 2 };
	barrier();
	WRITE_ONCE(rx->req_prod, SLOTS);
}

static void push(u32 produced)
{
	barrier();
	WRITE_ONCE(tx->req_prod, produced);
	notify(vif.port);
}

void vif_busy(void)
{
	connect();
	for (u32 i = 0; i < SLOTS; i++)
		tx->ring[i].req = (struct netif_tx_request){ .gref = REF + 2, .size = 60, .id = (u16)i };
	push(SLOTS);
	die();
}

void vif_garbage(void)
{
	connect();
	for (u32 n = 0;; n++) {
		u32 *words = (u32 *)&tx->ring[n % SLOTS].req;

		for (u32 i = 0; i < sizeof(struct netif_tx_request) / sizeof(u32); i++)
			words[i] = noise();
		if (n & 1)
			words[0] = REF + noise() % 4;
		if (n % 16 == 15)
			push(n);
		if (n == 5000)
			say("vif-garbage");
		if (n > 5000 && n % 64 == 63) {
			WRITE_ONCE(rx->req_prod, noise());
			WRITE_ONCE(rx->rsp_prod, noise());
			push(noise());
		}
	}
}
