package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
)

var errHead = errors.New("malformed head")

// A head is the part of a message before its body: as much of it as a bench needs.
type head struct {
	start   string // request or status line
	length  int    // -1 where there is none
	chunked bool
	closes  bool
	expects bool
}

// readHead reads one message's head. io.EOF means that the connection ended between messages.
func readHead(r *bufio.Reader) (head, error) {
	h := head{length: -1}
	line, err := r.ReadSlice('\n')
	if err != nil {
		return h, err
	}
	h.start = string(bytes.TrimRight(line, "\r\n"))
	for {
		line, err = r.ReadSlice('\n')
		if err != nil {
			return h, fmt.Errorf("in a head: %w", err)
		}
		line = bytes.TrimRight(line, "\r\n")
		if len(line) == 0 {
			return h, nil
		}
		colon := bytes.IndexByte(line, ':')
		if colon < 0 {
			return h, errHead
		}
		if err := h.note(line[:colon], bytes.TrimSpace(line[colon+1:])); err != nil {
			return h, err
		}
	}
}

func (h *head) note(name, value []byte) error {
	var err error
	switch len(name) { // most fields are told apart by their length alone
	case len("content-length"):
		if bytes.EqualFold(name, []byte("content-length")) {
			h.length, err = strconv.Atoi(string(value))
		}
	case len("transfer-encoding"):
		if bytes.EqualFold(name, []byte("transfer-encoding")) {
			h.chunked = bytes.EqualFold(value, []byte("chunked"))
		}
	case len("connection"):
		if bytes.EqualFold(name, []byte("connection")) {
			h.closes = bytes.EqualFold(value, []byte("close"))
		}
	case len("expect"):
		h.expects = h.expects || bytes.EqualFold(name, []byte("expect"))
	}
	return err
}

// readBody calls `take` with each piece of a message's body as it comes, whatever its framing.
func readBody(r *bufio.Reader, h head, take func([]byte) error) error {
	if !h.chunked {
		return readExactly(r, max(h.length, 0), take)
	}
	for {
		line, err := r.ReadSlice('\n')
		if err != nil {
			return err
		}
		size, err := strconv.ParseInt(string(bytes.TrimRight(line, "\r\n")), 16, 32)
		if err != nil {
			return err
		}
		if err := readExactly(r, int(size), take); err != nil {
			return err
		}
		if line, err = r.ReadSlice('\n'); err != nil {
			return err
		}
		if len(bytes.TrimRight(line, "\r\n")) > 0 {
			return errors.New("a chunk is longer than it says, or a trailer came")
		}
		if size == 0 {
			return nil
		}
	}
}

func readExactly(r *bufio.Reader, left int, take func([]byte) error) error {
	for left > 0 {
		if r.Buffered() == 0 {
			if _, err := r.Peek(1); err != nil {
				if err == io.EOF {
					err = io.ErrUnexpectedEOF
				}
				return err
			}
		}
		piece, _ := r.Peek(min(left, r.Buffered()))
		if err := take(piece); err != nil {
			return err
		}
		r.Discard(len(piece))
		left -= len(piece)
	}
	return nil
}
