package main

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Figures gathers what all workers saw.
type figures struct {
	mutex            sync.Mutex
	open, peak       atomic.Int64
	requests, chunks int
	latencies        []float64
	firsts, gaps     []float64
	failures         int
	causes           []string
}

const causesKept = 5

func (f *figures) add(w *worker) {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	f.requests += w.requests
	f.chunks += w.chunks
	f.latencies = append(f.latencies, w.latencies...)
	f.firsts = append(f.firsts, w.firsts...)
	f.gaps = append(f.gaps, w.gaps...)
	f.failures += len(w.failures)
	for _, failure := range w.failures {
		if text := failure.Error(); len(f.causes) < causesKept && !slices.Contains(f.causes, text) {
			f.causes = append(f.causes, text)
		}
	}
}

// noteOpen remembers the greatest number of streams that were under way at once.
func (f *figures) noteOpen() {
	now := f.open.Load()
	for peak := f.peak.Load(); now > peak && !f.peak.CompareAndSwap(peak, now); peak = f.peak.Load() {
	}
}

type spread struct {
	P50 float64 `json:"p50"`
	P99 float64 `json:"p99"`
	Max float64 `json:"max"`
}

func spreadOf(values []float64) spread {
	if len(values) == 0 {
		return spread{}
	}
	slices.Sort(values)
	at := func(share float64) float64 { return values[int(share*float64(len(values)-1))] }
	return spread{at(.5), at(.99), values[len(values)-1]}
}

type summary struct {
	Requests int      `json:"requests"`
	Chunks   int      `json:"chunks"`
	Failures int      `json:"failures"`
	Causes   []string `json:"causes"`
	Seconds  float64  `json:"seconds"`
	Peak     int64    `json:"peak"`    // streams open at once
	Pieces   int      `json:"pieces"`  // in how many the chunks came
	Latency  spread   `json:"latency"` // microseconds, as are the others
	First    spread   `json:"first"`
	Gap      spread   `json:"gap"`
}

func (f *figures) summary(took time.Duration) summary {
	return summary{f.requests, f.chunks, f.failures, f.causes, took.Seconds(), f.peak.Load(),
		len(f.firsts) + len(f.gaps), spreadOf(f.latencies), spreadOf(f.firsts), spreadOf(f.gaps)}
}
