/* SPDX-License-Identifier: MIT */
/* Unit tests: the manager's HTTP endpoint, with clients that are in no hurry, or mean it. */
/* sources: tools/lodged/http.c tools/lib/err.c */
/* libs: -pthread */
/* cflags: -Wno-unused-parameter */
#include "test.h"

#include <arpa/inet.h>
#include <lodged/http.h>
#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>

#define LONG	100000		/* milliseconds that nobody waits for */

static struct http http = { .patience_ms = LONG, .fresh_ms = LONG, .type = "text/x" };
static uint16_t port;
static size_t page_len = 6;
static int makes, make_rc;

static int make(char **text, size_t *len, void *ctx)
{
	__atomic_fetch_add(&makes, 1, __ATOMIC_SEQ_CST);
	if (make_rc)
		return make_rc;
	*text = malloc(page_len);
	memset(*text, 'x', page_len);
	(*text)[page_len - 1] = '\n';
	*len = page_len;
	return 0;
}

static void *serve(void *unused)
{
	http_serve(&http);
	return NULL;
}

static void start(void)
{
	struct sockaddr_in a;
	socklen_t len = sizeof(a);
	struct err e;
	pthread_t t;

	http.make = make;
	http.fd = http_listen("127.0.0.1", 0, &e);
	CHECK(http.fd >= 0);
	CHECK(!getsockname(http.fd, (struct sockaddr *)&a, &len));
	port = ntohs(a.sin_port);
	CHECK(!pthread_create(&t, NULL, serve, NULL));
}

static int client(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	CHECK(!connect(fd, (struct sockaddr *)&a, sizeof(a)));
	return fd;
}

static void say(int fd, const char *text)
{
	CHECK_EQ(send(fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
}

/* All that comes until the other end closes. */
static size_t hear(int fd, char *buf, size_t size)
{
	size_t len = 0;
	ssize_t n;

	while (len < size - 1 && (n = recv(fd, buf + len, size - 1 - len, 0)) > 0)
		len += (size_t)n;
	buf[len] = '\0';
	close(fd);
	return len;
}

static const char *ask(const char *request)
{
	static char answer[20000];
	int fd = client();

	say(fd, request);
	hear(fd, answer, sizeof(answer));
	return answer;
}

#define GET	"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"
#define HEAD	"HTTP/1.1 200 OK\r\nContent-Type: text/x\r\nContent-Length: 6\r\nConnection: close\r\n\r\n"

TEST(judged)
{
	static const struct { const char *request; unsigned int status; int body; } cases[] = {
		{ "", 0, 0 }, { "GET /metrics HTTP/1.1\r\n", 0, 0 }, { "GET /metrics HTTP/1.1\r\nA: b\r\n", 0, 0 },
		{ GET, 200, 1 }, { "GET /metrics HTTP/1.0\r\n\r\n", 200, 1 }, { "GET /metrics HTTP/1.1\n\n", 200, 1 },
		{ "HEAD /metrics HTTP/1.1\r\n\r\n", 200, 0 }, { "GET /metrics?a=b HTTP/1.1\r\n\r\n", 200, 1 },
		{ "GET / HTTP/1.1\r\n\r\n", 404, 1 }, { "HEAD /x HTTP/1.1\r\n\r\n", 404, 0 }, { "GET /metricsx HTTP/1.1\r\n\r\n", 404, 1 },
		{ "GET /metrics/../../etc/passwd HTTP/1.1\r\n\r\n", 404, 1 }, { "GET http://h/metrics HTTP/1.1\r\n\r\n", 404, 1 },
		{ "POST /metrics HTTP/1.1\r\n\r\n", 405, 0 }, { "get /metrics HTTP/1.1\r\n\r\n", 405, 0 },
		{ "GETT /metrics HTTP/1.1\r\n\r\n", 405, 0 }, { "CONNECT h:1 HTTP/1.1\r\n\r\n", 405, 0 },
		{ "\r\n\r\n", 400, 0 }, { "GET\r\n\r\n", 400, 0 }, { "GET \r\n\r\n", 400, 0 }, { "GET /metrics\r\n\r\n", 400, 0 },
		{ "GET  /metrics HTTP/1.1\r\n\r\n", 400, 0 }, { "GET /metrics HTTP/2.0\r\n\r\n", 400, 0 },
		{ "GET /metrics HTTP/1.10\r\n\r\n", 400, 0 }, { "GET /metrics HTTP/1.\r\n\r\n", 400, 0 }, { "GET /metrics \r\n\r\n", 400, 0 },
		{ "GET /met\x7frics HTTP/1.1\r\n\r\n", 400, 0 }, { "G\x01T /metrics HTTP/1.1\r\n\r\n", 400, 0 },
		{ "GET /metrics HTTP/1.1 x\r\n\r\n", 400, 0 }, { "GET /\xc3\xa4 HTTP/1.1\r\n\r\n", 400, 0 },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		size_t len = strlen(cases[i].request);
		char *copy = malloc(len + 1);
		int body = 7;

		/* Its own memory, so that a look behind its end is noticed. */
		memcpy(copy, cases[i].request, len);
		copy = realloc(copy, len ? len : 1);
		CHECK_EQ(http_judge(copy, len, &body), cases[i].status);
		if (cases[i].status)
			CHECK_EQ(body, cases[i].body);
		free(copy);
	}
	CHECK_EQ(http_judge("GET /metrics\0 HTTP/1.1\r\n\r\n", 26, &(int){ 0 }), 400);
}

TEST(answers)
{
	start();
	CHECK_STR(ask(GET), HEAD "xxxxx\n");
	CHECK_STR(ask("HEAD /metrics HTTP/1.0\r\n\r\n"), HEAD);
	CHECK_STR(ask(GET GET GET), HEAD "xxxxx\n");		/* one request, one answer */
	CHECK(strstr(ask("GET /\r\n\r\n"), "HTTP/1.1 400 Bad Request\r\n"));
	CHECK(strstr(ask("GET / HTTP/1.1\r\n\r\n"), "HTTP/1.1 404 Not Found\r\n"));
	CHECK(strstr(ask("GET / HTTP/1.1\r\n\r\n"), "\r\nContent-Length: 10\r\nConnection: close\r\n\r\nNot Found\n"));
	CHECK(!strstr(ask("HEAD / HTTP/1.1\r\n\r\n"), "\r\n\r\nN"));
	CHECK(strstr(ask("DELETE /metrics HTTP/1.1\r\n\r\n"), "\r\nAllow: GET, HEAD\r\n"));
	CHECK_EQ(makes, 1);		/* it has not become old */
}

TEST(long_requests)
{
	static char request[4 * HTTP_REQUEST_MAX];
	size_t n;

	start();
	for (size_t size = HTTP_REQUEST_MAX - 2; size < HTTP_REQUEST_MAX + 3; size++) {
		n = (size_t)sprintf(request, "GET /metrics HTTP/1.1\r\nA: ");
		memset(request + n, 'a', size - n);
		strcpy(request + size - 4, "\r\n\r\n");
		CHECK(strstr(ask(request), size <= HTTP_REQUEST_MAX ? " 200 OK\r\n" : " 431 "));
	}
	memset(request, 'a', sizeof(request) - 1);
	CHECK(strstr(ask(request), " 431 "));
}

TEST(byte_by_byte)
{
	char answer[1000];
	int fd;

	start();
	fd = client();
	for (const char *p = GET; *p; p++)
		CHECK_EQ(send(fd, p, 1, 0), 1);
	hear(fd, answer, sizeof(answer));
	CHECK_STR(answer, HEAD "xxxxx\n");
}

TEST(page_is_made_when_it_is_old)
{
	http.fresh_ms = 0;
	start();
	for (int i = 1; i < 5; i++) {
		CHECK_STR(ask(GET), HEAD "xxxxx\n");
		CHECK_EQ(makes, i);
	}
	make_rc = -5;
	CHECK(strstr(ask(GET), "HTTP/1.1 503 Service Unavailable\r\n"));
	make_rc = 0;
	CHECK_STR(ask(GET), HEAD "xxxxx\n");
}

/* A client that reads nothing of a large page is in nobody's way, and is given up. */
TEST(who_does_not_read)
{
	static char answer[64 << 20];
	size_t big;
	int deaf;

	page_len = 32 << 20;
	http.fresh_ms = 0;
	http.patience_ms = 20000;
	start();
	deaf = client();
	say(deaf, GET);
	CHECK_EQ(poll(&(struct pollfd){ .fd = deaf, .events = POLLIN }, 1, -1), 1);
	page_len = 6;
	CHECK_STR(ask(GET), HEAD "xxxxx\n");
	/* It was sent what the page was then. */
	big = hear(deaf, answer, sizeof(answer));
	CHECK(big > (32 << 20) && answer[big - 1] == '\n' && !memcmp(answer, "HTTP/1.1 200 OK\r\n", 17));
}

TEST(who_says_nothing_is_given_up)
{
	static char answer[64 << 20];
	int silent[HTTP_CLIENTS_MAX], deaf;
	size_t len;

	page_len = 32 << 20;
	http.patience_ms = 300;
	start();
	for (int i = 0; i < HTTP_CLIENTS_MAX; i++) {
		silent[i] = client();
		say(silent[i], "GET /metrics HTTP/1.1\r\n");
	}
	/* All places are taken: this one waits for one. */
	CHECK(strstr(ask("HEAD /metrics HTTP/1.1\r\n\r\n"), " 200 OK\r\n"));
	for (int i = 0; i < HTTP_CLIENTS_MAX; i++)
		CHECK_EQ(hear(silent[i], answer, sizeof(answer)), 0);
	/* And so is one who asks, and does not read. */
	deaf = client();
	say(deaf, GET);
	while (send(deaf, "x", 1, MSG_NOSIGNAL) > 0)
		usleep(10000);
	len = hear(deaf, answer, sizeof(answer));
	CHECK(len < (32 << 20));
}

TEST(listening)
{
	struct err e;
	int fd = http_listen("::1", 0, &e), rc;
	struct sockaddr_in a;
	socklen_t len = sizeof(a);

	if (fd >= 0)
		close(fd);
	CHECK_EQ(http_listen("localhost", 1, &e), -22);
	CHECK(strstr(e.text, "`localhost` is no address"));
	fd = http_listen("127.0.0.1", 0, &e);
	CHECK(fd >= 0 && !getsockname(fd, (struct sockaddr *)&a, &len));
	rc = http_listen("127.0.0.1", ntohs(a.sin_port), &e);
	CHECK(rc < 0 && strstr(e.text, "in use"));
	close(fd);
}
