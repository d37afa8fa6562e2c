// Command load calls one method of a gRPC server, and prints the outcomes of the calls.
//
// It opens its connections and makes the warm-up calls, then prints "ready". Every line on its standard
// input starts a run, and every run prints one line of JSON. It ends at the end of its input.
//
// Messages are serialized by its caller, so that it needs no protos and costs little.
package main

import (
	"bufio"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

var (
	target      = flag.String("target", "127.0.0.1:50051", "the server")
	method      = flag.String("method", "/probe.Probe/Unary", "the method's path")
	arity       = flag.String("arity", "unary", "unary, server (a stream of replies) or bidi (a reply for each message)")
	request     = flag.String("request", "", "the request message, in hex")
	token       = flag.String("token", "", "sent as authorization: Bearer …")
	connections = flag.Int("connections", 4, "connections to spread the calls over")
	inFlight    = flag.Int("in-flight", 32, "calls in flight, without -rate")
	rate        = flag.Float64("rate", 0, "calls per second, whether answered or not, in place of -in-flight")
	calls       = flag.Int64("calls", 0, "calls in a run")
	duration    = flag.Duration("duration", 0, "length of a run, if -calls is 0")
	warm        = flag.Int64("warm", 0, "calls before the first run")
	messages    = flag.Int("messages", 1, "bidi: messages that each call sends, one by one")
	cancelAfter = flag.Int("cancel-after", 0, "streams: cancel once this many replies have come")
	timeout     = flag.Duration("timeout", 30*time.Second, "each call's deadline")
)

// raw hands the messages to grpc as they are.
type raw struct{}

func (raw) Marshal(value any) ([]byte, error) { return *value.(*[]byte), nil }

func (raw) Unmarshal(data []byte, value any) error {
	*value.(*[]byte) = slices.Clone(data)
	return nil
}

func (raw) Name() string { return "proto" }

// tally has the outcomes of the calls of one goroutine, or of several.
type tally struct {
	codes    map[codes.Code]int64
	messages int64
	pushback int64 // rejections with a retry delay
	spans    map[string][]float64
}

func newTally() *tally {
	return &tally{codes: map[codes.Code]int64{}, spans: map[string][]float64{}}
}

func (t *tally) end(code codes.Code, trailer metadata.MD, took time.Duration) {
	t.codes[code]++
	class := "failed"
	switch code {
	case codes.OK:
		class = "ok"
	case codes.ResourceExhausted:
		class = "rejected"
		if len(trailer.Get("grpc-retry-pushback-ms")) == 1 {
			t.pushback++
		}
	}
	t.spans[class] = append(t.spans[class], float64(took.Microseconds())/1000)
}

func (t *tally) add(other *tally) {
	for code, count := range other.codes {
		t.codes[code] += count
	}
	t.messages += other.messages
	t.pushback += other.pushback
	for class, spans := range other.spans {
		t.spans[class] = append(t.spans[class], spans...)
	}
}

type latency struct {
	P50 float64 `json:"p50"`
	P95 float64 `json:"p95"`
	P99 float64 `json:"p99"`
	Max float64 `json:"max"`
}

type report struct {
	Seconds  float64            `json:"seconds"`
	Calls    int64              `json:"calls"`
	Messages int64              `json:"messages"`
	Pushback int64              `json:"pushback"`
	Codes    map[string]int64   `json:"codes"`
	Latency  map[string]latency `json:"latency_ms"` // by ok, rejected and failed
}

func (t *tally) report(took time.Duration) report {
	made := report{
		Seconds:  took.Seconds(),
		Messages: t.messages,
		Pushback: t.pushback,
		Codes:    map[string]int64{},
		Latency:  map[string]latency{},
	}
	for code, count := range t.codes {
		made.Codes[code.String()] = count
		made.Calls += count
	}
	for class, spans := range t.spans {
		slices.Sort(spans)
		at := func(share float64) float64 { return spans[int(share*float64(len(spans)-1))] }
		made.Latency[class] = latency{at(0.50), at(0.95), at(0.99), at(1)}
	}
	return made
}

// caller makes calls on one connection. One goroutine uses it at a time; connections are shared.
type caller struct {
	connection *grpc.ClientConn
	context    context.Context
	body       []byte
	tally      *tally
}

func (c *caller) call(began time.Time) {
	ctx, cancel := context.WithTimeout(c.context, *timeout)
	defer cancel()
	var trailer metadata.MD
	var err error
	if *arity == "unary" {
		var reply []byte
		err = c.connection.Invoke(ctx, *method, &c.body, &reply, grpc.Trailer(&trailer))
		if err == nil {
			c.tally.messages++
		}
	} else {
		trailer, err = c.stream(ctx, cancel)
	}
	c.tally.end(status.Code(err), trailer, time.Since(began))
}

func (c *caller) stream(ctx context.Context, cancel context.CancelFunc) (metadata.MD, error) {
	description := &grpc.StreamDesc{ServerStreams: true, ClientStreams: *arity == "bidi"}
	stream, err := c.connection.NewStream(ctx, description, *method)
	if err != nil {
		return nil, err
	}
	sends := 1
	if *arity == "bidi" {
		sends = *messages
	}
	if err = c.talk(stream, sends, cancel); errors.Is(err, io.EOF) {
		err = nil
	}
	return stream.Trailer(), err
}

// talk returns io.EOF if the server has ended the stream with OK.
func (c *caller) talk(stream grpc.ClientStream, sends int, cancel context.CancelFunc) error {
	for sent, received := 0, 0; ; {
		if sent < sends {
			sent++
			// The receive returns the error of a failed send.
			if err := stream.SendMsg(&c.body); err != nil && !errors.Is(err, io.EOF) {
				return err
			}
			if sent == sends && *arity != "bidi" {
				if err := stream.CloseSend(); err != nil {
					return err
				}
			}
		} else if *arity == "bidi" && sent == sends {
			sent++
			if err := stream.CloseSend(); err != nil {
				return err
			}
		}
		var reply []byte
		if err := stream.RecvMsg(&reply); err != nil {
			return err
		}
		c.tally.messages++
		if received++; received == *cancelAfter {
			cancel()
		}
	}
}

func (c *caller) another() *caller {
	return &caller{c.connection, c.context, c.body, newTally()}
}

// inTurn keeps that many calls in flight until `count` calls have ended, or until `until`.
func inTurn(open []*caller, many int, count int64, until time.Time) *tally {
	var begun atomic.Int64
	var group sync.WaitGroup
	callers := make([]*caller, many)
	for index := range callers {
		one := open[index%len(open)].another()
		callers[index] = one
		group.Go(func() {
			for {
				began := time.Now()
				if count > 0 && begun.Add(1) > count || count == 0 && began.After(until) {
					return
				}
				one.call(began)
			}
		})
	}
	group.Wait()
	return sum(callers)
}

// atRate starts calls at random times (a Poisson process), without waiting for earlier ones, like independent
// clients. Latencies count from the time when a call was due, so that a late start is included.
func atRate(open []*caller, perSecond float64, count int64) *tally {
	var group sync.WaitGroup
	callers := make([]*caller, count)
	due := time.Now()
	for index := range callers {
		due = due.Add(time.Duration(rand.ExpFloat64() / perSecond * float64(time.Second)))
		if wait := time.Until(due); wait > 0 {
			time.Sleep(wait)
		}
		one := open[index%len(open)].another()
		callers[index] = one
		began := due
		group.Go(func() { one.call(began) })
	}
	group.Wait()
	return sum(callers)
}

func sum(callers []*caller) *tally {
	total := newTally()
	for _, each := range callers {
		total.add(each.tally)
	}
	return total
}

func run(open []*caller) report {
	began := time.Now()
	var seen *tally
	if *rate > 0 {
		count := *calls
		if count == 0 {
			count = int64(*rate * duration.Seconds())
		}
		seen = atRate(open, *rate, count)
	} else {
		seen = inTurn(open, *inFlight, *calls, began.Add(*duration))
	}
	return seen.report(time.Since(began))
}

// connect returns once every connection is ready.
func connect() ([]*caller, error) {
	body, err := hex.DecodeString(*request)
	if err != nil {
		return nil, fmt.Errorf("-request: %w", err)
	}
	outgoing := context.Background()
	if *token != "" {
		outgoing = metadata.AppendToOutgoingContext(outgoing, "authorization", "Bearer "+*token)
	}
	opening, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	var open []*caller
	for range *connections {
		connection, err := grpc.NewClient(
			*target,
			grpc.WithTransportCredentials(insecure.NewCredentials()),
			grpc.WithDefaultCallOptions(grpc.ForceCodec(raw{})),
		)
		if err != nil {
			return nil, err
		}
		connection.Connect()
		for state := connection.GetState(); state != connectivity.Ready; state = connection.GetState() {
			if !connection.WaitForStateChange(opening, state) {
				return nil, fmt.Errorf("no connection to %s within 10 s", *target)
			}
		}
		open = append(open, &caller{connection, outgoing, body, newTally()})
	}
	return open, nil
}

func main() {
	flag.Parse()
	open, err := connect()
	if err != nil {
		fmt.Fprintln(os.Stderr, "load:", err)
		os.Exit(1)
	}
	if *warm > 0 {
		inTurn(open, *inFlight, *warm, time.Time{})
	}
	fmt.Println("ready")
	lines := bufio.NewScanner(os.Stdin)
	output := json.NewEncoder(os.Stdout)
	for lines.Scan() {
		if err := output.Encode(run(open)); err != nil {
			os.Exit(1)
		}
	}
}
