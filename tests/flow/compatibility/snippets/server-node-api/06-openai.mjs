import OpenAI from 'openai';

const client = new OpenAI({
  baseURL: 'http://localhost:8080/v1',
  apiKey: 'sk-your-secret-key',
});

const response = await client.chat.completions
  .create({
    model: 'my-fine-tuned-model',
    messages: [
      { role: 'user', content: 'Hello!' }
    ],
  });

console.log(response.choices[0].message);
