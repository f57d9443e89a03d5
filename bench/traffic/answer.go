package main

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
)

// An order is what a request asks of the engine. It travels in the prompt, since proxies may drop headers and
// members they don't know, and its tag comes back in the answer, so that a mixed-up answer can't pass for one.
type order struct {
	tag      string // 16 characters
	chunks   int
	interval int // microseconds between chunks
	stream   bool
}

const (
	orderMark = "bench-"
	tagSize   = 16
	orderSize = len(orderMark) + tagSize + len("-0100-00020000")
)

func (o order) String() string {
	return fmt.Sprintf("%s%s-%04d-%08d", orderMark, o.tag, o.chunks, o.interval)
}

// readOrder finds the order in a request's body.
func readOrder(body []byte) (order, bool) {
	at := bytes.Index(body, []byte(orderMark))
	if at < 0 || len(body) < at+orderSize {
		return order{}, false
	}
	text := string(body[at+len(orderMark) : at+orderSize])
	chunks, err := strconv.Atoi(text[tagSize+1 : tagSize+5])
	if err != nil {
		return order{}, false
	}
	interval, err := strconv.Atoi(text[tagSize+6:])
	if err != nil {
		return order{}, false
	}
	stream := bytes.Contains(body, []byte(`"stream":true`)) || bytes.Contains(body, []byte(`"stream": true`))
	return order{text[:tagSize], chunks, interval, stream}, true
}

// A template is bytes of which some are filled in: the tag, and in an event its number.
type template struct {
	text       []byte
	tag, index int // where they stand; index is -1 where there is none
}

func newTemplate(text string) template {
	return template{[]byte(text), strings.Index(text, tagSpace), strings.Index(text, indexSpace)}
}

const (
	tagSpace   = "################"
	indexSpace = "@@@@"
)

var (
	whole = newTemplate(`{"id":"chatcmpl-` + tagSpace + `","object":"chat.completion","created":1700000000,"model":"m",` +
		`"choices":[{"index":0,"message":{"role":"assistant","content":"` + strings.Repeat("lorem ipsum dolor sit amet ", 16) +
		`"},"logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":211,"total_tokens":311,"completion_tokens":100}}`)
	event = newTemplate(`data: {"id":"chatcmpl-` + tagSpace + `","object":"chat.completion.chunk","created":1700000000,` +
		`"model":"m","choices":[{"index":0,"delta":{"content":" tok` + indexSpace + `"},"finish_reason":null}]}` + "\n\n")
	usage = newTemplate(`data: {"id":"chatcmpl-` + tagSpace + `","object":"chat.completion.chunk","created":1700000000,` +
		`"model":"m","choices":[],"usage":{"prompt_tokens":211,"total_tokens":311,"completion_tokens":100}}` + "\n\n")
	done = []byte("data: [DONE]\n\n")
)

// fill writes the template into `into`, which has its size, and gives it back.
func (t template) fill(into []byte, tag string, index int) []byte {
	copy(into, t.text)
	copy(into[t.tag:], tag)
	if t.index >= 0 {
		for place := t.index + len(indexSpace) - 1; place >= t.index; place-- {
			into[place] = byte('0' + index%10)
			index /= 10
		}
	}
	return into
}

// A checker compares a stream with what its order should bring, byte by byte, however it was cut in transit.
type checker struct {
	order  order
	events int // complete ones seen, usage and [DONE] not among them
	want   []byte
	left   []byte // of the part being compared
	part   int    // 0..chunks-1 events, then usage, then done, then nothing
}

func newChecker(o order) *checker {
	c := &checker{order: o, want: make([]byte, max(len(event.text), len(usage.text)))}
	c.load()
	return c
}

func (c *checker) load() {
	switch {
	case c.part < c.order.chunks:
		c.left = event.fill(c.want[:len(event.text)], c.order.tag, c.part)
	case c.part == c.order.chunks:
		c.left = usage.fill(c.want[:len(usage.text)], c.order.tag, 0)
	case c.part == c.order.chunks+1:
		c.left = done
	default:
		c.left = nil
	}
}

// feed takes bytes of the stream, and gives how many events they completed, or an error at the first byte that
// is wrong.
func (c *checker) feed(data []byte) (int, error) {
	before := c.events
	for len(data) > 0 {
		if c.left == nil {
			return 0, fmt.Errorf("the stream goes on after [DONE]: %.80q", data)
		}
		n := min(len(data), len(c.left))
		if !bytes.Equal(data[:n], c.left[:n]) {
			return 0, fmt.Errorf("wrong bytes in event %d: %.80q instead of %.80q", c.part, data[:n], c.left[:n])
		}
		data, c.left = data[n:], c.left[n:]
		if len(c.left) == 0 {
			if c.part < c.order.chunks {
				c.events++
			}
			c.part++
			c.load()
		}
	}
	return c.events - before, nil
}

func (c *checker) complete() bool { return c.left == nil }
