// A load at a constant rate that does not wait for answers, for Linux:
// open-loop HOST:PORT PATH RATE CONNECTIONS SECONDS BODY_FILE
//
// Each request has an intended start; its time runs from there, also when no connection was free or the
// generator itself came late (no coordinated omission). One thread, epoll and a timer of nanoseconds: Go's own
// timers are up to a millisecond late. Prints one JSON line.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log"
	"net"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"syscall"
	"time"
	"unsafe"
)

// The first second is not counted.
const warmUp = time.Second

type connection struct {
	fd int
	// Since the load began.
	intended time.Duration
	buffer   []byte
	read     int
}

type load struct {
	epoll    int
	idle     []*connection
	waiting  []time.Duration
	request  []byte
	began    time.Time
	times    []time.Duration
	failed   int
	inFlight int
}

func main() {
	if len(os.Args) != 7 {
		log.Fatalf("expected 6 arguments, got %d", len(os.Args)-1)
	}
	address, path := os.Args[1], os.Args[2]
	rate, connections, seconds := number(os.Args[3]), number(os.Args[4]), number(os.Args[5])
	body, err := os.ReadFile(os.Args[6])
	check(err)
	debug.SetGCPercent(-1)
	runtime.LockOSThread()

	l := &load{times: make([]time.Duration, 0, rate*seconds)}
	l.request = fmt.Appendf(nil, "POST %s HTTP/1.1\r\nhost: %s\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s",
		path, address, len(body), body)
	l.epoll, err = syscall.EpollCreate1(0)
	check(err)
	open := map[int32]*connection{}
	for range connections {
		c := l.connect(address)
		open[int32(c.fd)] = c
		l.idle = append(l.idle, c)
	}
	const clockMonotonic = 1
	timer, _, errno := syscall.RawSyscall(syscall.SYS_TIMERFD_CREATE, clockMonotonic, syscall.O_NONBLOCK, 0)
	if errno != 0 {
		check(errno)
	}
	l.watch(int(timer))

	interval := time.Second / time.Duration(rate)
	end := warmUp + time.Duration(seconds)*time.Second
	next := time.Duration(0)
	l.began = time.Now()
	arm(int(timer), time.Microsecond)
	events := make([]syscall.EpollEvent, 256)
	var ticks [8]byte
	for next < end || (l.inFlight+len(l.waiting) > 0 && time.Since(l.began) < end+5*time.Second) {
		count := wait(l.epoll, events)
		for _, event := range events[:max(count, 0)] {
			if event.Fd != int32(timer) {
				l.receive(open[event.Fd])
				continue
			}
			_, _ = syscall.Read(int(timer), ticks[:])
			for next < end && next <= time.Since(l.began) {
				l.start(next)
				next += interval
			}
			arm(int(timer), max(next-time.Since(l.began), time.Microsecond))
		}
	}
	l.failed += l.inFlight + len(l.waiting)
	l.report(seconds)
}

func (l *load) connect(address string) *connection {
	dialled, err := net.Dial("tcp", address)
	check(err)
	file, err := dialled.(*net.TCPConn).File()
	check(err)
	fd := int(file.Fd())
	check(syscall.SetNonblock(fd, true))
	check(syscall.SetsockoptInt(fd, syscall.IPPROTO_TCP, syscall.TCP_NODELAY, 1))
	l.watch(fd)
	runtime.SetFinalizer(file, nil)
	return &connection{fd: fd, buffer: make([]byte, 65536)}
}

func (l *load) watch(fd int) {
	event := syscall.EpollEvent{Events: syscall.EPOLLIN, Fd: int32(fd)}
	check(syscall.EpollCtl(l.epoll, syscall.EPOLL_CTL_ADD, fd, &event))
}

func (l *load) start(intended time.Duration) {
	if len(l.idle) == 0 {
		l.waiting = append(l.waiting, intended)
		return
	}
	c := l.idle[len(l.idle)-1]
	l.idle = l.idle[:len(l.idle)-1]
	l.send(c, intended)
}

func (l *load) send(c *connection, intended time.Duration) {
	c.intended = intended
	c.read = 0
	l.inFlight++
	count, err := syscall.Write(c.fd, l.request)
	check(err)
	if count != len(l.request) {
		log.Fatalf("expected room for a request of %d bytes in the socket, got %d", len(l.request), count)
	}
}

func (l *load) receive(c *connection) {
	count, err := syscall.Read(c.fd, c.buffer[c.read:])
	if err == syscall.EAGAIN {
		return
	}
	check(err)
	if count == 0 {
		log.Fatal("expected the connection to stay open, got its end")
	}
	c.read += count
	ended, ok := complete(c.buffer[:c.read])
	if !ended {
		return
	}
	l.inFlight--
	if !ok {
		l.failed++
	}
	if c.intended >= warmUp {
		l.times = append(l.times, time.Since(l.began)-c.intended)
	}
	if len(l.waiting) == 0 {
		l.idle = append(l.idle, c)
		return
	}
	intended := l.waiting[0]
	l.waiting = l.waiting[1:]
	l.send(c, intended)
}

// Whether an answer of known length is there, and whether it says 200.
func complete(answer []byte) (ended, ok bool) {
	end := bytes.Index(answer, []byte("\r\n\r\n"))
	if end < 0 {
		return false, false
	}
	head := bytes.ToLower(answer[:end+2])
	at := bytes.Index(head, []byte("\r\ncontent-length: "))
	if at < 0 {
		log.Fatalf("expected an answer of known length, got %q", head)
	}
	value := head[at+len("\r\ncontent-length: "):]
	length := number(string(value[:bytes.IndexByte(value, '\r')]))
	return len(answer) >= end+4+length, bytes.HasPrefix(head, []byte("http/1.1 200"))
}

func (l *load) report(seconds int) {
	slices.Sort(l.times)
	at := func(p float64) float64 {
		if len(l.times) == 0 {
			return 0
		}
		return float64(l.times[min(len(l.times)-1, int(p*float64(len(l.times))))]) / 1e6
	}
	check(json.NewEncoder(os.Stdout).Encode(map[string]any{
		"requests": len(l.times), "failed": l.failed, "seconds": seconds,
		"p50Ms": at(0.5), "p99Ms": at(0.99), "p999Ms": at(0.999), "maxMs": at(1),
	}))
}

func wait(epoll int, events []syscall.EpollEvent) int {
	count, _, errno := syscall.RawSyscall6(syscall.SYS_EPOLL_PWAIT, uintptr(epoll),
		uintptr(unsafe.Pointer(&events[0])), uintptr(len(events)), ^uintptr(0), 0, 0)
	if errno == syscall.EINTR {
		return 0
	}
	if errno != 0 {
		check(errno)
	}
	return int(count)
}

func arm(timer int, after time.Duration) {
	spec := [2]syscall.Timespec{{}, syscall.NsecToTimespec(int64(after))}
	_, _, errno := syscall.RawSyscall6(syscall.SYS_TIMERFD_SETTIME, uintptr(timer), 0,
		uintptr(unsafe.Pointer(&spec[0])), 0, 0, 0)
	if errno != 0 {
		check(errno)
	}
}

func number(text string) int {
	value, err := strconv.Atoi(text)
	check(err)
	return value
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
