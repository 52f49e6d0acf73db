"""The expert holds a few support conversations; put your own agent in its place."""

import gymnasium as gym

import stateset_gym  # noqa: F401  (registers the environments)
from stateset_gym import policies

EPISODES = 3

env = gym.make("StateSet/CustomerService-v0", split="test", difficulty="normal")
agent = policies.make("expert", env)
for episode in range(EPISODES):
    agent.reset()
    observation, info = env.reset(seed=episode)
    print(f"\n{info['scene']}\n     user: {observation['messages'][-1]['content']}")
    done, total = False, 0.0
    while not done:
        action = agent.act(observation, info["facts"])  # JSON text, a dict, or a Struct
        observation, reward, terminated, truncated, info = env.step(action)
        for message in observation["messages"][-2:]:
            print(f"{message['role']:>9}: {message['content']}")
        done, total = terminated or truncated, total + float(reward)
    print(f"{info['outcome']}, success {info['is_success']}, return {total:g}")
env.close()
