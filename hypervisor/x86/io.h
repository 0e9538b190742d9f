/* SPDX-License-Identifier: MIT */
/* Port I/O and memory-mapped I/O accesses. */
#ifndef X86_IO_H
#define X86_IO_H

#include <lib/types.h>

static inline u8 inb(u16 port) { u8 v; __asm__ volatile("inb %w1, %b0" : "=a"(v) : "Nd"(port)); return v; }
static inline u16 inw(u16 port) { u16 v; __asm__ volatile("inw %w1, %w0" : "=a"(v) : "Nd"(port)); return v; }
static inline u32 inl(u16 port) { u32 v; __asm__ volatile("inl %w1, %0" : "=a"(v) : "Nd"(port)); return v; }
static inline void outb(u16 port, u8 v) { __asm__ volatile("outb %b0, %w1" :: "a"(v), "Nd"(port)); }
static inline void outw(u16 port, u16 v) { __asm__ volatile("outw %w0, %w1" :: "a"(v), "Nd"(port)); }
static inline void outl(u16 port, u32 v) { __asm__ volatile("outl %0, %w1" :: "a"(v), "Nd"(port)); }

static inline u32 mmio_read32(const volatile void *p) { u32 v; __asm__ volatile("movl %1, %0" : "=r"(v) : "m"(*(const volatile u32 *)p) : "memory"); return v; }
static inline u64 mmio_read64(const volatile void *p) { u64 v; __asm__ volatile("movq %1, %0" : "=r"(v) : "m"(*(const volatile u64 *)p) : "memory"); return v; }
static inline void mmio_write32(volatile void *p, u32 v) { __asm__ volatile("movl %0, %1" :: "r"(v), "m"(*(volatile u32 *)p) : "memory"); }
static inline void mmio_write64(volatile void *p, u64 v) { __asm__ volatile("movq %0, %1" :: "r"(v), "m"(*(volatile u64 *)p) : "memory"); }

#endif
