// A reverse proxy of Go's standard library that draws each request between two upstreams at 50%:
// reverse-proxy PLAIN_PORT PLAIN_LEGACY PLAIN_CANDIDATE STREAM_PORT STREAM_LEGACY STREAM_CANDIDATE
package main

import (
	"io"
	"log"
	"math/rand/v2"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"sync"
	"time"
)

func main() {
	ports := os.Args[1:]
	if len(ports) != 6 {
		log.Fatalf("expected 6 ports, got %d", len(ports))
	}
	go serve(ports[3], ports[4], ports[5])
	serve(ports[0], ports[1], ports[2])
}

func serve(port, legacyPort, candidatePort string) {
	targets := [2]*url.URL{
		{Scheme: "http", Host: "127.0.0.1:" + legacyPort},
		{Scheme: "http", Host: "127.0.0.1:" + candidatePort},
	}
	proxy := &httputil.ReverseProxy{
		Rewrite: func(request *httputil.ProxyRequest) { request.SetURL(targets[rand.IntN(2)]) },
		Transport: &http.Transport{
			MaxIdleConnsPerHost: 4096,
			IdleConnTimeout:     10 * time.Minute,
			DisableCompression:  true,
		},
		BufferPool: &buffers{sync.Pool{New: func() any { return make([]byte, 32*1024) }}},
		// Callers that leave at the end of a load are no news.
		ErrorLog: log.New(io.Discard, "", 0),
	}
	log.Fatal(http.ListenAndServe("127.0.0.1:"+port, proxy))
}

type buffers struct{ pool sync.Pool }

func (b *buffers) Get() []byte      { return b.pool.Get().([]byte) }
func (b *buffers) Put(bytes []byte) { b.pool.Put(bytes) }
