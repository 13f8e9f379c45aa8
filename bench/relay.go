package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"

	"sidecar/internal/socket"
)

// relayName is a relay that makes the system calls of a pass-through and nothing else. Its cost
// is the price of Go and the kernel, and the rest is the sidecar's own.
const relayName = "bare relay in Go"

// relayVariable makes this program the relay: its address and that of the API.
const relayVariable = "BENCH_RELAY"

func (s *stack) relay(context.Context) (v server, err error) {
	program, err := os.Executable()
	if err != nil {
		return v, err
	}
	if v.addr, err = freeAddr(); err != nil {
		return v, err
	}
	v.process, err = s.start("relay", []string{relayVariable + "=" + v.addr + "," + s.origin.addr},
		program)
	return v, err
}

// serveRelay serves as the relay until the process ends.
func serveRelay(addresses string) error {
	own, api, _ := strings.Cut(addresses, ",")
	l, err := net.Listen("tcp", own)
	if err != nil {
		return err
	}
	for {
		c, err := l.Accept()
		if err != nil {
			return err
		}
		go func() { // ends with the client
			defer c.Close()
			_ = relay(socket.New(c), api)
		}()
	}
}

// relay sends each request of a client on, and the response back, over a connection of its own. It
// knows no more of HTTP than it needs for the requests of wrk and the responses of the origin.
func relay(client net.Conn, api string) error {
	dialled, err := net.Dial("tcp", api)
	if err != nil {
		return err
	}
	defer dialled.Close()
	backend, buffer := socket.New(dialled), make([]byte, 128<<10)
	for {
		n, err := client.Read(buffer)
		if err != nil {
			return err
		}
		if !bytes.HasSuffix(buffer[:n], []byte("\r\n\r\n")) {
			return errors.New("not one request")
		}
		if _, err := backend.Write(buffer[:n]); err != nil {
			return err
		}
		if err := relayResponse(client, backend, buffer); err != nil {
			return err
		}
	}
}

func relayResponse(client io.Writer, backend io.Reader, buffer []byte) error {
	n, left := 0, -1
	for left != 0 {
		got, err := backend.Read(buffer[n:])
		if err != nil {
			return err
		}
		if n += got; left > 0 {
			left -= got
			continue
		}
		head, body, whole := bytes.Cut(buffer[:n], []byte("\r\n\r\n"))
		if !whole {
			continue
		}
		_, length, _ := bytes.Cut(head, []byte("Content-Length: "))
		length, _, _ = bytes.Cut(length, []byte("\r\n"))
		size, err := strconv.Atoi(string(length))
		if err != nil || len(head)+4+size > len(buffer) {
			return fmt.Errorf("a response without a length, or too long: %q", length)
		}
		left = size - len(body)
	}
	_, err := client.Write(buffer[:n])
	return err
}
