package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"time"
)

// A plan is what one run of `traffic load` does.
type plan struct {
	to, mode, key      string
	workers, rate      int
	seconds, ramp      float64
	prompt             int
	chunks, intervalUs int
	run                int // distinguishes the prompts of one run from those of another
}

// runLoad carries out one plan and prints its figures as JSON. Times are in microseconds.
func runLoad(arguments []string) error {
	flags := flag.NewFlagSet("load", flag.ExitOnError)
	p := plan{run: int(time.Now().UnixMilli() % 1_000_000)}
	flags.StringVar(&p.to, "to", "127.0.0.1:9001", "address of the proxy")
	flags.StringVar(&p.mode, "mode", "closed", "closed: each worker asks again at once; rate: at a fixed rate; streams")
	flags.StringVar(&p.key, "key", "sk-bench", "API key")
	flags.IntVar(&p.workers, "workers", 32, "connections")
	flags.IntVar(&p.rate, "rate", 1000, "rate: requests a second, over all connections")
	flags.Float64Var(&p.seconds, "seconds", 2, "closed and rate: how long")
	flags.Float64Var(&p.ramp, "ramp", 0.5, "streams: seconds over which they begin")
	flags.IntVar(&p.prompt, "prompt", 1024, "bytes of a request's body, about")
	flags.IntVar(&p.chunks, "chunks", 100, "streams: events of each")
	flags.IntVar(&p.intervalUs, "interval-us", 20000, "streams: time between events")
	flags.Parse(arguments)
	work := map[string]func(*worker, plan, time.Time) error{"closed": closed, "rate": atRate, "streams": oneStream}[p.mode]
	if work == nil {
		return fmt.Errorf("unknown mode %q", p.mode)
	}
	figures := &figures{}
	started := time.Now()
	var working sync.WaitGroup
	for number := range p.workers {
		working.Go(func() {
			w := &worker{number: number, plan: p, figures: figures}
			if err := work(w, p, started); err != nil {
				w.failures = append(w.failures, err)
			}
			w.hangUp()
			figures.add(w)
		})
	}
	working.Wait()
	return json.NewEncoder(os.Stdout).Encode(figures.summary(time.Since(started)))
}

// A worker holds one connection, and makes it anew when it was closed.
type worker struct {
	number, sequence int
	plan             plan
	figures          *figures
	connection       net.Conn
	in               *bufio.Reader
	request          []byte
	tagAt, prefixAt  int
	want             []byte
	requests, chunks int
	latencies        []float64
	firsts, gaps     []float64
	failures         []error
}

func closed(w *worker, p plan, started time.Time) error {
	for stop := started.Add(microseconds(p.seconds * 1e6)); time.Now().Before(stop); {
		w.timed(time.Now())
	}
	return nil
}

// atRate keeps to its schedule. A request that could not begin on time because the answer before it was late
// counts from when it should have begun, so that a stall isn't hidden by the requests it kept from being sent.
func atRate(w *worker, p plan, started time.Time) error {
	period := microseconds(1e6 * float64(p.workers) / float64(p.rate))
	next := started.Add(period * time.Duration(w.number) / time.Duration(p.workers))
	for stop := started.Add(microseconds(p.seconds * 1e6)); next.Before(stop); next = next.Add(period) {
		from := next
		if wait := time.Until(next); wait > 0 {
			time.Sleep(wait)
			from = time.Now() // a timer's slack isn't the proxy's
		}
		w.timed(from)
	}
	return nil
}

// timed sends one request and checks its answer. After a failure it goes on with a new connection.
func (w *worker) timed(from time.Time) {
	err := w.ask()
	if err != nil {
		w.failures = append(w.failures, err)
		w.hangUp()
		time.Sleep(10 * time.Millisecond) // a proxy that is down isn't asked as fast as one can
		return
	}
	w.latencies = append(w.latencies, float64(time.Since(from).Nanoseconds())/1e3)
	w.requests++
}

func (w *worker) ask() error {
	asked := order{tag: w.nextTag()}
	h, err := w.send(asked)
	if err != nil {
		return err
	}
	got := 0
	if w.want == nil {
		w.want = make([]byte, len(whole.text))
	}
	want := whole.fill(w.want, asked.tag, 0)
	err = readBody(w.in, h, func(piece []byte) error {
		if got+len(piece) > len(want) || !bytes.Equal(piece, want[got:got+len(piece)]) {
			return fmt.Errorf("wrong body: %.120q", piece)
		}
		got += len(piece)
		return nil
	})
	if err == nil && got != len(want) {
		err = fmt.Errorf("a body of %d bytes instead of %d", got, len(want))
	}
	if h.closes {
		w.hangUp()
	}
	return err
}

// oneStream opens one stream in its turn and reads it to its end.
func oneStream(w *worker, p plan, started time.Time) error {
	time.Sleep(time.Until(started.Add(microseconds(p.ramp * 1e6 * float64(w.number) / float64(p.workers)))))
	asked := order{w.nextTag(), p.chunks, p.intervalUs, true}
	from := time.Now()
	h, err := w.send(asked)
	if err != nil {
		return err
	}
	w.figures.open.Add(1)
	defer w.figures.open.Add(-1)
	check := newChecker(asked)
	var last time.Time
	err = readBody(w.in, h, func(piece []byte) error {
		events, err := check.feed(piece)
		if err != nil || events == 0 {
			return err
		}
		now := time.Now()
		if last.IsZero() {
			w.firsts = append(w.firsts, float64(now.Sub(from).Nanoseconds())/1e3)
			w.figures.noteOpen()
		} else {
			w.gaps = append(w.gaps, float64(now.Sub(last).Nanoseconds())/1e3)
		}
		last = now
		w.chunks += events
		return nil
	})
	if err == nil && !check.complete() {
		err = errors.New("the stream ended before [DONE]")
	}
	if err == nil {
		w.requests++
	}
	return err
}

// send writes a request and reads the head of its answer, which has to be a 200.
func (w *worker) send(asked order) (head, error) {
	if w.connection == nil {
		connection, err := net.DialTimeout("tcp", w.plan.to, 10*time.Second)
		if err != nil {
			return head{}, err
		}
		w.connection, w.in = connection, bufio.NewReaderSize(connection, 8192)
	}
	w.write(asked)
	patience := 20*time.Second + microseconds(float64(asked.chunks*asked.interval))*2
	w.connection.SetDeadline(time.Now().Add(patience))
	if _, err := w.connection.Write(w.request); err != nil {
		return head{}, err
	}
	h, err := readHead(w.in)
	if err != nil {
		return h, err
	}
	if !strings.HasPrefix(h.start, "HTTP/1.1 200") {
		var body []byte
		readBody(w.in, h, func(piece []byte) error { body = append(body, piece...); return nil })
		return h, fmt.Errorf("%s: %.200q", h.start, body)
	}
	return h, nil
}

const systemPrompts = 8

// write makes the request in place: built once, then only its tag and the system prompt's number change.
func (w *worker) write(asked order) {
	if w.request == nil {
		w.build(asked)
	}
	copy(w.request[w.tagAt:], asked.tag)
	w.request[w.prefixAt] = byte('0' + (w.number+w.sequence)%systemPrompts)
}

func (w *worker) build(asked order) {
	const number = "%"
	system := "System prompt " + number + ". " + strings.Repeat("You are a careful assistant who answers briefly. ", 64)
	user := asked.String() + " " + strings.Repeat("The quick brown fox jumps over the lazy dog. ", 64)
	options := ""
	if asked.stream {
		options = `,"stream_options":{"include_usage":true}`
	}
	body := fmt.Sprintf(`{"model":"m","messages":[{"role":"system","content":"%s"},{"role":"user","content":"%s"}],`+
		`"max_tokens":100,"stream":%v%s}`, system[:w.plan.prompt/2], user[:w.plan.prompt*3/8], asked.stream, options)
	w.request = fmt.Appendf(nil, "POST /v1/chat/completions HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\n"+
		"Content-Type: application/json\r\nAccept: application/json\r\nUser-Agent: OpenAI/Python 2.8.1\r\n"+
		"X-Stainless-Lang: python\r\nX-Stainless-Async: false\r\nContent-Length: %d\r\n\r\n%s", w.plan.to, w.plan.key, len(body), body)
	w.tagAt = bytes.Index(w.request, []byte(orderMark)) + len(orderMark)
	w.prefixAt = bytes.Index(w.request, []byte(number))
}

func (w *worker) nextTag() string {
	w.sequence++
	return fmt.Sprintf("%06d%04d%06d", w.plan.run, w.number%10000, w.sequence%1_000_000)
}

func (w *worker) hangUp() {
	if w.connection != nil {
		w.connection.Close()
		w.connection = nil
	}
}

func microseconds(count float64) time.Duration {
	return time.Duration(count * float64(time.Microsecond))
}
