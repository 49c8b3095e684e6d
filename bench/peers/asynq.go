package main

import (
	"context"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"
)

type asynqPeer struct {
	opt    asynq.RedisConnOpt
	redis  *redis.Client
	client *asynq.Client
}

func openAsynq(ctx context.Context) (peer, error) {
	opt, err := asynq.ParseRedisURI(os.Getenv(redisURL))
	if err != nil {
		return nil, err
	}
	parsed, err := redis.ParseURL(os.Getenv(redisURL))
	if err != nil {
		return nil, err
	}
	a := &asynqPeer{opt: opt, redis: redis.NewClient(parsed), client: asynq.NewClient(opt)}
	return a, a.redis.FlushDB(ctx).Err()
}

func (a *asynqPeer) Submit(ctx context.Context) error {
	_, err := a.client.EnqueueContext(ctx, asynq.NewTask("noop", []byte("1")))
	return err
}

func (*asynqPeer) SubmitMany(context.Context, int) error { return errUnsupported }

func (a *asynqPeer) Start(_ context.Context, slots int, job func()) (func(), error) {
	s := asynq.NewServer(a.opt, asynq.Config{Concurrency: slots, LogLevel: asynq.FatalLevel, TaskCheckInterval: 10 * time.Millisecond})
	err := s.Start(asynq.HandlerFunc(func(context.Context, *asynq.Task) error { job(); return nil }))
	return s.Shutdown, err
}

// CPU is what the server says of itself.
func (a *asynqPeer) CPU() time.Duration {
	info, _ := a.redis.Info(context.Background(), "cpu").Result()
	var total float64
	for line := range strings.Lines(info) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		if name == "used_cpu_sys" || name == "used_cpu_user" {
			n, _ := strconv.ParseFloat(value, 64)
			total += n
		}
	}
	return time.Duration(total * float64(time.Second))
}

func (a *asynqPeer) Close() {
	_ = a.client.Close()
	_ = a.redis.Close()
}
