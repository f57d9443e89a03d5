package main

import (
	"bufio"
	"flag"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"
)

// runEngine serves every address of a list until the process is ended.
func runEngine(arguments []string) error {
	flags := flag.NewFlagSet("engine", flag.ExitOnError)
	addresses := flags.String("listen", "127.0.0.1:9001", "addresses to listen on, with commas between")
	flags.Parse(arguments)
	var serving sync.WaitGroup
	for _, address := range strings.Split(*addresses, ",") {
		listener, err := net.Listen("tcp", address)
		if err != nil {
			return err
		}
		serving.Go(func() {
			for {
				connection, err := listener.Accept()
				if err != nil {
					return
				}
				go serve(connection)
			}
		})
	}
	fmt.Println("listening")
	serving.Wait()
	return nil
}

const plainHead = "HTTP/1.1 200 OK\r\ndate: Sun, 22 Nov 2026 18:17:20 GMT\r\nserver: uvicorn\r\n"

var (
	jsonHead   = plainHead + "content-type: application/json\r\ncontent-length: "
	streamHead = []byte(plainHead + "content-type: text/event-stream; charset=utf-8\r\ntransfer-encoding: chunked\r\n\r\n")
	models     = []byte(`{"object":"list","data":[{"id":"m","object":"model","created":1,"owned_by":"bench","root":"m","max_model_len":4096}]}`)
	told       = []byte(`{"status":"ok","model_path":"m","tokenizer_path":"m","is_generation":true,"dp_size":1,"served_model_name":"m"}`)
)

// serve answers one connection's requests until it ends.
func serve(connection net.Conn) {
	defer connection.Close()
	in := bufio.NewReaderSize(connection, 4096)
	var body, out []byte
	for {
		h, err := readHead(in)
		if err != nil {
			return
		}
		if h.expects {
			connection.Write([]byte("HTTP/1.1 100 Continue\r\n\r\n"))
		}
		body = body[:0]
		if readBody(in, h, func(piece []byte) error { body = append(body, piece...); return nil }) != nil {
			return
		}
		path := strings.SplitN(h.start, " ", 3)[1]
		asked, found := readOrder(body)
		switch {
		case found && asked.stream:
			err = stream(connection, asked)
		case found:
			out = append(append(out[:0], jsonHead...), strconv.Itoa(len(whole.text))...)
			out = append(out, "\r\n\r\n"...)
			at := len(out)
			out = append(out, whole.text...)
			whole.fill(out[at:], asked.tag, 0)
			_, err = connection.Write(out)
		case path == "/v1/models":
			err = answer(connection, models)
		default: // health checks and questions about the engine
			err = answer(connection, told)
		}
		if err != nil || h.closes {
			return
		}
	}
}

func answer(connection net.Conn, body []byte) error {
	_, err := fmt.Fprintf(connection, "%s%d\r\n\r\n%s", jsonHead, len(body), body)
	return err
}

// stream writes each event by itself, on time: the n-th at n intervals after the first, whatever the others took.
func stream(connection net.Conn, asked order) error {
	if _, err := connection.Write(streamHead); err != nil {
		return err
	}
	size := strconv.FormatInt(int64(len(event.text)), 16) + "\r\n"
	out := make([]byte, len(size)+len(event.text)+2)
	copy(out, size)
	copy(out[len(out)-2:], "\r\n")
	started, interval := time.Now(), time.Duration(asked.interval)*time.Microsecond
	for i := range asked.chunks {
		if wait := time.Until(started.Add(time.Duration(i) * interval)); wait > 0 {
			time.Sleep(wait)
		}
		event.fill(out[len(size):len(out)-2], asked.tag, i)
		if _, err := connection.Write(out); err != nil {
			return err
		}
	}
	last := usage.fill(make([]byte, len(usage.text)), asked.tag, 0)
	_, err := fmt.Fprintf(connection, "%x\r\n%s\r\n%x\r\n%s\r\n0\r\n\r\n", len(last), last, len(done), done)
	return err
}
